"""Queues on SQS and topics on SNS, through boto3 in threads of its own.

A queue may be given by name, URL or ARN, a topic by name or ARN; names are looked up once. The two services may have
different endpoints. A receive that is cancelled while it waits gives back what it may still get.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from studio9_common.streams.limits import check_message, check_name, check_receive
from studio9_common.streams.port import StreamMessage, StreamMissing, StreamsUnavailable
from studio9_common.streams.store import DEAD

T = TypeVar("T")

THREADS = 32
"""Calls at a time; a long poll holds one for up to 20 s."""
DEAD_RETENTION_S = 14 * 86_400

_MISSING = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "NonExistentQueue",
    "NotFound",
    "NotFoundException",
}
_GONE = {"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"}


class AwsStreams:
    """Streams (the port) of one AWS account and region."""

    def __init__(
        self,
        session: boto3.Session,
        *,
        region: str,
        sqs_endpoint: str | None = None,
        sns_endpoint: str | None = None,
    ) -> None:
        config = Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 4, "mode": "standard"},
            max_pool_connections=THREADS,
        )
        self._sqs = session.client("sqs", region_name=region, endpoint_url=sqs_endpoint, config=config)
        self._sns = session.client("sns", region_name=region, endpoint_url=sns_endpoint, config=config)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="studio9-aws")
        self._urls: dict[str, str] = {}
        self._topics: dict[str, str] = {}

    async def ensure_queue(self, queue: str, *, visibility_s: int = 30, max_receives: int | None = None) -> None:
        check_receive(1, 0, visibility_s)
        await self._run(self._ensure_queue, check_name(queue, "queue"), visibility_s, max_receives)

    def _ensure_queue(self, queue: str, visibility_s: int, max_receives: int | None) -> None:
        attributes = {"VisibilityTimeout": str(visibility_s)}
        if max_receives is not None:
            self._create(queue + DEAD, {"MessageRetentionPeriod": str(DEAD_RETENTION_S)})
            policy = {"deadLetterTargetArn": self._arn(queue + DEAD), "maxReceiveCount": max_receives}
            attributes["RedrivePolicy"] = json.dumps(policy)
        self._create(queue, attributes)

    def _create(self, queue: str, attributes: dict[str, str]) -> None:
        try:
            url = self._url(queue)
        except StreamMissing:
            self._urls[queue] = self._sqs.create_queue(QueueName=queue, Attributes=attributes)["QueueUrl"]
        else:
            self._sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)

    async def ensure_topic(self, topic: str) -> None:
        await self._run(self._ensure_topic, check_name(topic, "topic"))

    def _ensure_topic(self, topic: str) -> None:
        self._topics[topic] = self._sns.create_topic(Name=topic)["TopicArn"]

    async def subscribe(self, topic: str, queue: str) -> None:
        await self._run(self._subscribe, topic, queue)

    def _subscribe(self, topic: str, queue: str) -> None:
        source, target = self._topic(topic), self._arn(queue)
        self._allow(queue, target, source)
        self._sns.subscribe(TopicArn=source, Protocol="sqs", Endpoint=target, Attributes={"RawMessageDelivery": "true"})

    def _allow(self, queue: str, target: str, source: str) -> None:
        """Adds to the queue's policy that this topic may send to it; what is there already stays."""
        found = self._sqs.get_queue_attributes(QueueUrl=self._url(queue), AttributeNames=["Policy"])
        policy = json.loads(found.get("Attributes", {}).get("Policy") or '{"Version": "2012-10-17", "Statement": []}')
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": target,
            "Condition": {"ArnEquals": {"aws:SourceArn": source}},
        }
        if statement not in policy["Statement"]:
            policy["Statement"].append(statement)
            self._sqs.set_queue_attributes(QueueUrl=self._url(queue), Attributes={"Policy": json.dumps(policy)})

    async def send(self, queue: str, body: str, attributes: Mapping[str, str] | None = None) -> str:
        values = _attributes(check_message(body, attributes))
        return await self._run(
            lambda: str(
                self._sqs.send_message(QueueUrl=self._url(queue), MessageBody=body, MessageAttributes=values)[
                    "MessageId"
                ]
            )
        )

    async def publish(
        self, topic: str, body: str, *, subject: str = "", attributes: Mapping[str, str] | None = None
    ) -> str:
        values = _attributes(check_message(body, attributes))
        extra = {"Subject": subject[:100]} if subject else {}
        return await self._run(
            lambda: str(
                self._sns.publish(TopicArn=self._topic(topic), Message=body, MessageAttributes=values, **extra)[
                    "MessageId"
                ]
            )
        )

    async def receive(
        self, queue: str, *, limit: int = 10, wait_s: float = 0, visibility_s: int | None = None
    ) -> list[StreamMessage]:
        check_receive(limit, wait_s, visibility_s)
        abandoned = threading.Event()
        try:
            return await self._run(self._receive, queue, limit, wait_s, visibility_s, abandoned)
        except asyncio.CancelledError:
            abandoned.set()
            raise

    def _receive(
        self, queue: str, limit: int, wait_s: float, visibility_s: int | None, abandoned: threading.Event
    ) -> list[StreamMessage]:
        url = self._url(queue)
        extra = {} if visibility_s is None else {"VisibilityTimeout": visibility_s}
        answer = self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=round(wait_s),
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
            **extra,
        )
        taken = [_message(found) for found in answer.get("Messages", [])]
        if abandoned.is_set():
            for message in taken:
                self._sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message.receipt, VisibilityTimeout=0)
        return taken

    async def extend(self, queue: str, receipt: str, visibility_s: int) -> None:
        check_receive(1, 0, visibility_s)
        await self._run(self._extend, queue, receipt, visibility_s)

    def _extend(self, queue: str, receipt: str, visibility_s: int) -> None:
        try:
            self._sqs.change_message_visibility(
                QueueUrl=self._url(queue), ReceiptHandle=receipt, VisibilityTimeout=visibility_s
            )
        except ClientError as error:
            if _code(error) not in _GONE and "eceipt" not in str(error):
                raise

    async def delete(self, queue: str, receipts: Sequence[str]) -> None:
        await self._run(self._delete, queue, receipts)

    def _delete(self, queue: str, receipts: Sequence[str]) -> None:
        for start in range(0, len(receipts), 10):
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt}
                for number, receipt in enumerate(receipts[start : start + 10])
            ]
            answer = self._sqs.delete_message_batch(QueueUrl=self._url(queue), Entries=entries)
            failed = [entry for entry in answer.get("Failed", []) if not entry.get("SenderFault", True)]
            if failed:
                raise StreamsUnavailable(f"{len(failed)} messages of {queue} could not be deleted; they come again")

    async def depth(self, queue: str) -> int:
        return await self._run(self._depth, queue)

    def _depth(self, queue: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._url(queue), AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    async def ping(self) -> None:
        await self._run(partial(self._sqs.list_queues, MaxResults=1))
        await self._run(self._sns.list_topics)

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._sqs.close()
        self._sns.close()

    def _url(self, queue: str) -> str:
        if queue.startswith(("http://", "https://")):
            return queue
        if queue not in self._urls:
            name = queue.rpartition(":")[2]
            self._urls[queue] = self._guard(lambda: str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"]))
        return self._urls[queue]

    def _arn(self, queue: str) -> str:
        found = self._sqs.get_queue_attributes(QueueUrl=self._url(queue), AttributeNames=["QueueArn"])
        return str(found["Attributes"]["QueueArn"])

    def _topic(self, topic: str) -> str:
        if topic.startswith("arn:"):
            return topic
        if topic not in self._topics:
            for page in self._sns.get_paginator("list_topics").paginate():
                for found in page["Topics"]:
                    self._topics[found["TopicArn"].rpartition(":")[2]] = found["TopicArn"]
        if topic not in self._topics:
            raise StreamMissing(f"there is no topic named {topic}", field="topic", value=topic)
        return self._topics[topic]

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, partial(self._guard, partial(call, *arguments))
        )

    def _guard(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except (ClientError, BotoCoreError) as error:
            _translate(error)


def _translate(error: ClientError | BotoCoreError) -> NoReturn:
    if isinstance(error, ClientError) and _code(error) in _MISSING:
        raise StreamMissing(f"there is no such queue or topic: {error}") from None
    raise StreamsUnavailable(f"the queue service did not do it: {error}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _attributes(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def _message(found: Mapping[str, Any]) -> StreamMessage:
    attributes = {
        name: value["StringValue"]
        for name, value in found.get("MessageAttributes", {}).items()
        if "StringValue" in value
    }
    count = int(found.get("Attributes", {}).get("ApproximateReceiveCount", 1))
    return StreamMessage(found["MessageId"], found["Body"], found["ReceiptHandle"], count, attributes)
