"""Taurus on the embedded ports, with the real Aries and Argo, and a stand-in for Orion that a test can hold back."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from PIL import Image
from pydantic import SecretStr

from studio9_argo import app as argo_app
from studio9_argo.settings import ArgoSettings
from studio9_aries import app as aries_app
from studio9_aries.settings import AriesSettings
from studio9_common.bus import Bus, open_bus
from studio9_common.bus.port import Delivery, Queue
from studio9_common.bus.subscriber import Subscriber, each
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Job, Phase, State
from studio9_common.contracts.messages import JobAccepted, JobCompleted, JobRequested
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.errors import Conflict
from studio9_common.ids import new_id
from studio9_common.objects.local import LocalObjects
from studio9_common.streams.embedded import EmbeddedStreams
from studio9_common.streams.events import ObjectCreated, build_event
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Span, Tracer, trace_for
from studio9_taurus.app import Taurus, build
from studio9_taurus.settings import TaurusSettings

NOW = "2026-11-21T10:00:00.000000Z"
QUEUE, TOPIC, HEARD = "studio9-incoming", "studio9-predictions", "heard"


class Orion:
    """Keeps `job.requested` until `may_accept` is set, then makes the job durable and says so."""

    def __init__(self, bus: Bus, aries: AriesClient) -> None:
        self._bus, self._aries = bus, aries
        self._subscriber = Subscriber(bus, Queue("test.orion.v1", bindings=("job.requested",)), each(self._requested))
        self.may_accept = asyncio.Event()
        self.may_accept.set()
        self.requested: list[tuple[str, JobRequested]] = []
        self.accepted: dict[str, Job] = {}

    async def start(self) -> None:
        await self._subscriber.start()

    async def stop(self) -> None:
        self.may_accept.set()
        await self._subscriber.stop()

    async def _requested(self, delivery: Delivery) -> None:
        envelope = decode(delivery.body)
        wanted = envelope.data
        assert isinstance(wanted, JobRequested)
        self.requested.append((envelope.organisation, wanted))
        if not self.may_accept.is_set():
            return
        job = Job(
            id=wanted.job,
            organisation=envelope.organisation,
            owner=wanted.owner,
            spec=wanted.spec,
            request_hash="h",
            state=State.queued,
            phase=Phase.queued,
            context=wanted.context,
            created_at=NOW,
            updated_at=NOW,
        )
        with suppress(Conflict):
            await self._aries.create_job(job)
        self.accepted[job.id] = job
        told = JobAccepted(job=job.id, kind="predict", context=job.context, time=NOW, state=State.queued)
        await self._bus.publish(encode(told, source="orion", organisation=job.organisation))

    async def finish(self, id: str) -> None:
        """The job completes."""
        job, etag = await self._aries.get_job(id)
        job = replace(job, state=State.completed, phase=Phase.cleaning, ended_at=NOW)
        await self._aries.replace_job(job, etag)
        told = JobCompleted(
            job=id,
            kind="predict",
            context=job.context,
            time=NOW,
            state=State.completed,
            attempt=1,
            fence=1,
            created_at=NOW,
            ended_at=NOW,
        )
        traceparent = trace_for(id).child().traceparent
        await self._bus.publish(encode(told, source="orion", organisation=job.organisation, traceparent=traceparent))


class World:
    """Everything around Taurus. `start` and `stop` can be called again and again: what is stored stays."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.keys = TokenKeys(TokenKeys.generate())
        self.buckets = folder / "buckets"
        self.taurus: Taurus | None = None
        self.spans: list[Span] = []

    def take(self, span: Span) -> None:
        """Keeps what Taurus tells of its part in a trace."""
        self.spans.append(span)

    async def open(self) -> None:
        folder, keys = self.folder, self.keys
        self.bus = await open_bus(f"sqlite:///{folder}/bus.sqlite", name="test")
        self._stack.push_async_callback(self.bus.close)
        self.objects = LocalObjects(folder / "objects", base_url="http://x")
        self._stack.push_async_callback(self.objects.close)
        self.streams = EmbeddedStreams(folder / "streams.sqlite")
        self._stack.push_async_callback(self.streams.close)
        documents = [await SqliteDocuments.open(folder / f"{name}.sqlite") for name in ("aries", "argo")]
        for store in documents:
            self._stack.push_async_callback(store.close)
        aries = aries_app.build(AriesSettings(), documents=documents[0], keys=keys)
        settings = ArgoSettings(fernet_keys=SecretStr(Fernet.generate_key().decode()))
        argo = argo_app.build(settings, documents=documents[1], bus=self.bus, keys=keys)
        for service in (aries, argo):
            await service.start()
            self._stack.push_async_callback(service.stop)
        self._aries, self._argo = aries.asgi, argo.asgi
        self.claims = self._client(AriesClient(self._aries, service="taurus", keys=keys))
        self.config = self._client(ArgoClient(self._argo, service="baile", keys=keys))
        self.orion = Orion(self.bus, self._client(AriesClient(self._aries, service="orion", keys=keys)))
        await self.orion.start()
        self._stack.push_async_callback(self.orion.stop)
        await self.streams.ensure_queue(HEARD)
        await self.streams.ensure_topic(TOPIC)
        await self.streams.subscribe(TOPIC, HEARD)

    def _client(self, client: Any) -> Any:
        self._stack.push_async_callback(client.close)
        return client

    async def start(self, **changed: Any) -> None:
        values = {"quiet_s": 0.2, "republish_s": 0.5, "sweep_s": 0.3, "stale_s": 1.0, "visibility_s": 10}
        settings = TaurusSettings(
            **{**values, "unmatched_s": 1.0, **changed}, state_dir=self.folder / "taurus", buckets_dir=self.buckets
        )
        self.taurus = build(
            settings,
            bus=self.bus,
            objects=self.objects,
            streams=self.streams,
            aries=self._client(AriesClient(self._aries, service="taurus", keys=self.keys)),
            argo=self._client(ArgoClient(self._argo, service="taurus", keys=self.keys)),
            keys=self.keys,
            tracer=Tracer(self),
        )
        await self.taurus.start()

    async def stop(self) -> None:
        if self.taurus is not None:
            await self.taurus.stop()
            self.taurus = None

    async def stream(self, *, organisation: str = "acme", id: str | None = None, **changed: Any) -> str:
        """Writes a stream's configuration as Baile does; its id."""
        stream = id or new_id()
        value = {
            "stream": stream,
            "owner": "u1",
            "bucket": "camera",
            "album": "album1",
            "model": "m1",
            "model_version": "mv1",
            "checkpoint": {"key": f"{organisation}/models/mv1/model.pt", "sha256": "0" * 64, "size": 1},
            **changed,
        }
        await self.config.save("taurus", f"stream_{stream}", value, scope="organisation", organisation=organisation)
        return stream

    def drop(self, name: str, content: bytes, bucket: str = "camera") -> None:
        path = self.buckets / bucket / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_bytes(content)
        part.rename(path)

    async def event(self, key: str, *, bucket: str = "camera", etag: str = "e") -> None:
        await self.streams.send(QUEUE, build_event(ObjectCreated(bucket, key, 1, etag)))

    async def records(self, wanted: JobRequested) -> list[dict[str, Any]]:
        (source,) = (one for one in wanted.spec.inputs if one.kind == "pictures")
        return [json.loads(line) for line in (await self.objects.get(source.ref.key)).splitlines()]

    async def predicted(self) -> list[str]:
        """The file names of all pictures in accepted jobs."""
        return sorted([r["filename"] for job in list(self.orion.accepted.values()) for r in await self._of(job)])

    async def _of(self, job: Job) -> list[dict[str, Any]]:
        (source,) = (one for one in job.spec.inputs if one.kind == "pictures")
        return [json.loads(line) for line in (await self.objects.get(source.ref.key)).splitlines()]

    async def notifications(self) -> list[dict[str, Any]]:
        """Those that have come and were not read before."""
        found = []
        while messages := await self.streams.receive(HEARD):
            found += [json.loads(message.body) for message in messages]
            await self.streams.delete(HEARD, [message.receipt for message in messages])
        return found


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = 15) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - the state is in stores, nothing in this process tells
            await asyncio.sleep(0.05)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        made = World(tmp_path, stack)
        await made.open()
        yield made
        await made.stop()


@pytest.fixture
def picture() -> Callable[[int], bytes]:
    """A small PNG whose bytes depend on the number."""

    def make(number: int) -> bytes:
        file = io.BytesIO()
        Image.new("RGB", (32, 24), (number % 256, number // 256, 7)).save(file, "PNG")
        return file.getvalue()

    return make
