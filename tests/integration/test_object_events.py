"""An object put into a bucket reaches Taurus' queue by S3 → SNS → SQS, in the form that Taurus reads."""

import asyncio
from urllib.parse import SplitResult, urlsplit

import boto3
from pydantic import SecretStr

from studio9_common.ids import new_id
from studio9_common.streams.events import ObjectCreated, read_events
from studio9_taurus.settings import TaurusSettings

REGION = "us-east-1"
KEY = "in/a b+ü.png"


def settings_for(server: SplitResult) -> TaurusSettings:
    place = f"{server.scheme}://{server.hostname}:{server.port}"
    return TaurusSettings(
        streams_url=f"aws://{REGION}",
        sqs_endpoint=place,
        sns_endpoint=place,
        streams_access_key=server.username,
        streams_secret_key=SecretStr(server.password or ""),
    )


def put(server: SplitResult, bucket: str, topic: str) -> None:
    """Makes a bucket whose new objects are told to the topic, and puts one there."""
    s3 = boto3.client(
        "s3",
        endpoint_url=f"{server.scheme}://{server.hostname}:{server.port}",
        aws_access_key_id=server.username,
        aws_secret_access_key=server.password,
        region_name=REGION,
    )
    s3.create_bucket(Bucket=bucket)
    told = {"TopicArn": f"arn:aws:sns:{REGION}:123456789012:{topic}", "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [told]})
    s3.put_object(Bucket=bucket, Key=KEY, Body=b"0123456789")


async def test_a_new_object_is_heard_of_through_its_topic(sns_url: str) -> None:
    server = urlsplit(sns_url)
    name = f"events-{new_id()}"
    streams = settings_for(server).open_streams()
    try:
        await streams.ensure_queue(name)
        await streams.ensure_topic(name)
        await streams.subscribe(name, name)
        await asyncio.to_thread(put, server, name, name)
        created: list[ObjectCreated] = []
        async with asyncio.timeout(20):
            while not created:
                for message in await streams.receive(name, wait_s=1):
                    created += read_events(message.body).created
                    await streams.delete(name, [message.receipt])
        assert [(one.bucket, one.key, one.size) for one in created] == [(name, KEY, 10)]
        assert await streams.depth(name) == 0
    finally:
        await streams.close()
