"""Orion as Baile meets it on the bus."""

from collections.abc import Callable
from typing import Any

import pytest

from studio9_baile.models.jobs import Process
from studio9_baile.usecases.asking import Wanted, ask
from studio9_baile.usecases.changes import Kind
from studio9_common.bus.port import Queue
from studio9_common.contracts.collections import job_document
from studio9_common.contracts.envelope import Envelope, decode, encode
from studio9_common.contracts.job import Job, Spec
from studio9_common.contracts.messages import JobCancel, JobRequested, Message
from studio9_common.ids import new_id

REQUESTS = Queue("test.requests.v1", (JobRequested.routing_key, JobCancel.routing_key))


class Orion:
    """Hears what Baile asks for, and tells what becomes of it."""

    queue = REQUESTS

    def __init__(self, installation: Any) -> None:
        self._installation = installation

    async def hear(self, *, timeout_s: float = 20.0) -> Envelope:
        """The next message of Baile's outbox."""
        async with self._installation.bus.consume(self.queue.name) as consumer:
            deliveries = await consumer.get(1, timeout_s)
            assert deliveries, "nothing came"
            await deliveries[0].ack()
            return decode(deliveries[0].body)

    async def hear_all(self, *, timeout_s: float = 0.05) -> list[Envelope]:
        """Everything that is there."""
        heard = []
        async with self._installation.bus.consume(self.queue.name) as consumer:
            while deliveries := await consumer.get(100, timeout_s):
                for delivery in deliveries:
                    await delivery.ack()
                    heard.append(decode(delivery.body))
        return heard

    async def tell(self, organisation: str, *messages: Message) -> None:
        for message in messages:
            outgoing = encode(message, source="orion", organisation=organisation, mandatory=False)
            await self._installation.bus.publish(outgoing)

    def keep(self, job: Job) -> None:
        """The job's document is in Aries."""
        self._installation.stand_ins.documents.setdefault("jobs", {})[job.id] = job_document(job)


@pytest.fixture
async def orion(installation: Any) -> Orion:
    await installation.bus.declare(REQUESTS)
    return Orion(installation)


@pytest.fixture
def asked(installation: Any) -> Callable[..., Any]:
    """Makes a process of a user, asked for as every use case does."""

    async def make(api: Any, *, kind: str = "evaluate", **changes: Any) -> Process:
        core = installation.baile.core
        claims = core.tokens.read(api.token)
        given: dict[str, Any] = {
            "id": new_id(), "owner": claims.user, "spec": Spec(kind=kind), "job_type": "CV_MODEL_EVALUATE",
            "target": Kind.CV_PREDICTION, "target_id": new_id(),
            "data": {"outputs": {}, "model_version": "none", "dataset_version": "none"},
        }  # fmt: skip
        async with core.database.write(claims.organisation) as work:
            return ask(work, Wanted(**(given | changes)), core.limits)

    return make


@pytest.fixture
def current(installation: Any) -> Callable[..., Any]:
    """Reads a process as it is now."""

    async def read(process: Process) -> Process:
        found: Process
        async with installation.baile.core.database.read(process.organisation) as work:
            found = await work.processes.get(process.id)
        return found

    return read
