"""The demo's journey on real servers, each service as its own process: RabbitMQ, Elasticsearch, PostgreSQL, S3, SQS,
SNS, and the warehouse through redshift-connector. One process after the other is killed on the way.

Each task runs in a sealed container: of the trainers' image where STUDIO9_TEST_TRAINERS_IMAGE names one (7 GB), else of
a small Debian with the trainers' environment mounted read-only; as a child process where no Docker Engine can be had.
"""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import boto3
import pytest

from studio9_cli.demo import waiting
from studio9_cli.demo.api import Api
from studio9_cli.demo.digits import Page
from studio9_cli.demo.journey import Journey, Sql, Surroundings
from studio9_cli.demo.passwords import new_password
from studio9_cli.demo.runner import pages_of
from studio9_cli.demo.show import Silent
from studio9_cli.platform.state import StateFolder
from studio9_cli.servers.processes import Processes
from studio9_common.http.client import ServiceClient
from studio9_common.streams.events import ObjectCreated, build_event
from studio9_common.tokens import TokenKeys
from studio9_worker.runners.container import Owner
from studio9_worker.runners.engine import Engine

from .deployment import REGION, Deployment, Servers

PAGES, EPOCHS, CONFIDENCE = 48, 20, 0.001
SERVICES = ("aries", "argo", "orion", "pegasus", "taurus", "baile", "worker")
KILLED = ("worker", "orion", "aries", "baile", "argo", "taurus", "pegasus")
ENGINE, BASE, TRAINERS_IMAGE = "STUDIO9_TEST_DOCKER_URL", "STUDIO9_TEST_DOCKER_IMAGE", "STUDIO9_TEST_TRAINERS_IMAGE"
QUEUE, TOPIC, WATCHERS = "studio9-incoming", "studio9-predictions", "watchers"


def place(address: str) -> str:
    """An address without its credentials."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}"


def client(service: str, address: str) -> Any:
    parts: SplitResult = urlsplit(address)
    return boto3.client(
        service,
        endpoint_url=place(address),
        aws_access_key_id=parts.username,
        aws_secret_access_key=parts.password,
        region_name=REGION,
    )


def containers() -> dict[str, str]:
    """The worker's settings by which its tasks run in containers; none where there is no engine."""
    engine, image = os.environ.get(ENGINE), os.environ.get(TRAINERS_IMAGE)
    if not engine:
        return {}
    return {
        "STUDIO9_WORKER_RUNNER": "container",
        "STUDIO9_WORKER_DOCKER_URL": engine,
        "STUDIO9_WORKER_TASK_IMAGE": image or os.environ[BASE],
        "STUDIO9_WORKER_MOUNT_TRAINERS": "false" if image else "true",
        "STUDIO9_WORKER_GPU_SLOTS": "false",
    }


def remove_containers(installation: str) -> None:
    """What a failed run leaves in the engine."""
    if os.environ.get(ENGINE):
        engine = Engine(os.environ[ENGINE])
        for labels in engine.labelled({"studio9.installation": installation}):
            owner = Owner(installation, labels["studio9.worker"])
            engine.remove(owner.name(f"{labels['studio9.job']}.{labels['studio9.fence']}"))
        engine.close()


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory,
    rabbitmq_url: str,
    rabbitmq_management_url: str,
    elasticsearch_url: str,
    postgresql_url: str,
    s3_url: str,
    sqs_url: str,
    sns_url: str,
    redshift_url: str,
    trainers_python: Path,
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployed")
    servers = Servers(
        rabbitmq_url, rabbitmq_management_url, elasticsearch_url, postgresql_url, s3_url, sqs_url, sns_url, redshift_url
    )
    keys, source = urlsplit(sqs_url), urlsplit(s3_url)
    taurus = {
        "STUDIO9_TAURUS_STREAMS_URL": f"aws://{REGION}",
        "STUDIO9_TAURUS_SQS_ENDPOINT": place(sqs_url),
        "STUDIO9_TAURUS_SNS_ENDPOINT": place(sns_url),
        "STUDIO9_TAURUS_STREAMS_ACCESS_KEY": keys.username or "",
        "STUDIO9_TAURUS_STREAMS_SECRET_KEY": keys.password or "",
        "STUDIO9_TAURUS_QUEUE": QUEUE,
        "STUDIO9_TAURUS_TOPIC": TOPIC,
        "STUDIO9_TAURUS_SOURCE_ENDPOINT": place(s3_url),
        "STUDIO9_TAURUS_SOURCE_ACCESS_KEY": source.username or "",
        "STUDIO9_TAURUS_SOURCE_SECRET_KEY": source.password or "",
    }
    processes = Processes()
    deployment = Deployment(
        f"e2e-{uuid.uuid4().hex[:8]}",
        servers,
        processes,
        folder,
        StateFolder(folder).secrets(),
        trainers_python,
        overrides={"taurus": taurus, "worker": {"STUDIO9_WORKER_THREADS": "1"} | containers()},
    )
    try:
        deployment.prepare()
        for service in SERVICES:
            deployment.start(service)
        yield deployment
    finally:
        processes.close()
        remove_containers(deployment.name)


class Watchers:
    """Who listens to the topic: an SQS queue beside it, as an analyst's mail or function would be."""

    def __init__(self, sns_url: str) -> None:
        sns, self._sqs = client("sns", sns_url), client("sqs", sns_url)
        self._queue = self._sqs.create_queue(QueueName=WATCHERS)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        topic = sns.create_topic(Name=TOPIC)["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        self._seen: set[str] = set()

    def count(self) -> int:
        for message in self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", []):
            self._seen.add(message["MessageId"])
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return len(self._seen)


def surroundings(on: Deployment, organisation: str, pegasus: ServiceClient, watchers: Watchers) -> Surroundings:
    """Those of real servers: an S3 bucket whose events go to SQS, Pegasus over HTTP, a subscriber of the topic."""
    sqs = client("sqs", on.servers.sqs)
    queue = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]

    def put(name: str, content: bytes) -> None:
        answer = on.s3().put_object(Bucket=on.incoming, Key=name, Body=content)
        created = ObjectCreated(on.incoming, name, size=len(content), etag=answer["ETag"].strip('"'))
        sqs.send_message(QueueUrl=queue, MessageBody=build_event(created, region=REGION))

    async def drop(name: str, content: bytes) -> None:
        await asyncio.to_thread(put, name, content)

    async def sql(statement: str) -> Sql:
        answer = await pegasus.request("POST", "/v1/query", organisation=organisation, json={"sql": statement})
        return Sql(answer.json()["columns"], answer.json()["rows"])

    async def notifications() -> int:
        return await asyncio.to_thread(watchers.count)

    return Surroundings(drop, sql, notifications)


def bootstrap_token(on: Deployment) -> str:
    """As an operator gets it, from Baile's own command."""
    done = subprocess.run(
        [sys.executable, "-m", "studio9_baile", "bootstrap-token"],
        env=on.environment("baile") | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip().splitlines()[-1]


class KilledOnTheWay(Journey):
    """The journey, with each service killed once in the middle of the training."""

    deployment: Deployment

    async def train(self) -> None:
        killer = asyncio.create_task(self._kill())
        try:
            await super().train()
        finally:
            # Never cut short: a service would stay dead, and a fast training would leave some unharmed.
            await killer

    async def _kill(self) -> None:
        """Begins when the first epoch has been heard of. Each service is back before the next one dies."""
        await waiting.until("the first epoch", self._first_epoch, timeout_s=180, every_s=0.1)
        for service in KILLED:
            await self._still_running(f"before {service} is killed")
            await asyncio.to_thread(self.deployment.kill, service)
            await asyncio.to_thread(self.deployment.start, service)
        await self._still_running("after the last kill")

    async def _first_epoch(self) -> bool:
        return bool(self.figures.values.get("live_epochs"))

    async def _still_running(self, when: str) -> None:
        """The kills fall into the training, or they show nothing."""
        listed = (await self._api.get("/v2.0/processes"))["data"]
        assert [one["status"] for one in listed] == ["RUNNING"], f"{when}: {listed}"


async def test_the_journey_on_real_servers(deployed: Deployment, sns_url: str, tmp_path: Path) -> None:
    pages: dict[str, list[Page]] = await asyncio.to_thread(pages_of, tmp_path, PAGES)
    api = Api(deployed.address("baile"), patience_s=60)
    keys = TokenKeys(deployed.secrets.token_keys)
    pegasus = ServiceClient(deployed.address("pegasus"), audience="pegasus", service="operator", keys=keys)
    try:
        user = {"username": "ana", "password": new_password()}
        body = {"token": bootstrap_token(deployed), "organisation": "Lab", "email": "ana@lab.example"}
        made = await api.post("/v1/bootstrap", body | user | {"firstName": "Ana", "lastName": "Li"})
        await api.sign_in(user["username"], user["password"])
        around = surroundings(deployed, made["organisation"], pegasus, Watchers(sns_url))
        journey = KilledOnTheWay(api, Silent(), pages, around, epochs=EPOCHS, confidence=CONFIDENCE)
        journey.deployment = deployed
        try:
            await journey.run()
        except Exception as error:
            raise AssertionError(f"{error}\n{deployed.logs()}") from error
        figures = journey.figures.values
        assert figures["warehouse_rows"] == figures["predictions"] + figures["online_predictions"] > 0
        assert figures["notifications"] >= 1
        job = await api.get(f"/v1/jobs/{figures['train_job']}")
        assert (job["state"], job["phase"]) == ("completed", "clean")
        if containers():
            found = deployed.running["worker"].log.read_text(encoding="utf-8")
            assert "tasks_in_containers" in found and "tasks_not_isolated" not in found
        # The worker died too, and its successor found the attempt again: nothing was lost, nothing ran twice.
        assert [(one["number"], one["outcome"]) for one in job["attempts"]] == [(1, "succeeded")]
        assert (await api.get(f"/v1/jobs/{figures['train_job']}/result"))["epochs_done"] == EPOCHS
        measured = await api.get(f"/v1/jobs/{figures['train_job']}/metrics")
        steps = sorted(one["step"] for one in measured if (one["key"], one["split"]) == ("learning_rate", "train"))
        assert steps == list(range(1, EPOCHS + 1)), "telemetry outlived the kills, each value once"
    finally:
        await api.close()
        await pegasus.close()


def test_the_journeys_tasks_run_in_the_image_of_the_trainers() -> None:
    """Says, in the summary of a run, in what the tasks ran."""
    if not os.environ.get(ENGINE):
        pytest.skip("no Docker Engine can be had, so the journey's tasks were child processes")
    if not os.environ.get(TRAINERS_IMAGE):
        pytest.skip(f"the journey's tasks ran in a small image with the trainers mounted; {TRAINERS_IMAGE} names none")
    assert containers()["STUDIO9_WORKER_MOUNT_TRAINERS"] == "false"
