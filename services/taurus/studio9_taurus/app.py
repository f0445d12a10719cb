"""Composition of Taurus."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from studio9_common.bus.port import Bus, Queue
from studio9_common.bus.subscriber import Subscriber, each
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient
from studio9_common.config import LiveConfig
from studio9_common.contracts.messages import JobAccepted, JobCancelled, JobCompleted, JobFailed
from studio9_common.errors import Unavailable
from studio9_common.health import Liveness
from studio9_common.http.app import create_app
from studio9_common.logs import logger
from studio9_common.metrics import Metrics
from studio9_common.metrics_bus import MeasuredBus, measure_queues
from studio9_common.objects.port import Objects
from studio9_common.streams.embedded import EmbeddedStreams
from studio9_common.streams.folder import FolderWatch
from studio9_common.streams.port import Streams
from studio9_common.tasks import end
from studio9_common.times import Clock, SystemClock
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Tracer
from studio9_taurus.batches import Batches
from studio9_taurus.claims import ClaimStore
from studio9_taurus.gathering import Gatherer
from studio9_taurus.intake import Intake
from studio9_taurus.metrics import measure_intake
from studio9_taurus.routes import Status, StreamStatus, router
from studio9_taurus.settings import TaurusSettings
from studio9_taurus.sources import FolderSource, S3Source
from studio9_taurus.streams import ActiveStreams

JOBS = Queue(
    "taurus.jobs.v1",
    bindings=tuple(kind.routing_key for kind in (JobAccepted, JobCompleted, JobFailed, JobCancelled)),
)

LOOK_S = 0.5
"""Between two looks at the watched folders."""


class Taurus:
    """The service."""

    name = "taurus"

    def __init__(
        self,
        settings: TaurusSettings,
        *,
        bus: Bus,
        objects: Objects,
        streams: Streams,
        aries: AriesClient,
        argo: ArgoClient,
        keys: TokenKeys,
        clock: Clock,
        tracer: Tracer,
    ) -> None:
        metrics, alive = Metrics(), Liveness()
        bus = MeasuredBus(bus, metrics)
        self._settings, self._bus, self._streams = settings, bus, streams
        self._log = logger(self.name)
        self._config = LiveConfig(argo, bus, service=self.name, file=settings.state_dir / "configuration.json")
        self._active = ActiveStreams(self._config)
        self._store = ClaimStore(aries)
        source = FolderSource(settings.buckets_dir) if settings.buckets_dir else S3Source(settings, argo)
        self._batches = Batches(
            settings,
            store=self._store,
            aries=aries,
            bus=bus,
            objects=objects,
            streams=streams,
            clock=clock,
            tracer=tracer,
        )
        self.intake = Intake(
            settings,
            streams=streams,
            active=self._active,
            store=self._store,
            gatherer=Gatherer(settings, self._store, source, objects, clock),
            batches=self._batches,
            clock=clock,
        )
        self._subscriber = Subscriber(bus, JOBS, each(self._batches.on_event), prefetch=16)
        self._tasks: list[asyncio.Task[None]] = []
        measure_queues(metrics, lambda: [self._subscriber])
        measure_intake(metrics, self.intake)
        alive.watch(self._ended)
        self.asgi: FastAPI = create_app(
            self.name,
            keys=keys,
            checks={"queues": self._check, "bus": bus.ping, "aries": aries.ping, "objects": objects.ping},
            optional={"argo": argo.ping},
            alive=alive,
            metrics=metrics,
            tracer=tracer,
            docs_url=None,
            redoc_url=None,
        )
        self.asgi.include_router(router(self._status))

    async def start(self) -> None:
        """Makes queue and topic where it may, reads the streams, and begins. Waits for what is down."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Unavailable), wait=wait_random_exponential(multiplier=0.2, max=5)
        ):
            with attempt:
                try:
                    if self._settings.create_queues:
                        await self._streams.ensure_queue(self._settings.queue, visibility_s=self._settings.visibility_s)
                        await self._streams.ensure_topic(self._settings.topic)
                    await self._bus.declare(JOBS)
                except Unavailable as error:
                    self._log.warning("not_ready", message=error.message)
                    raise
        await self._config.start()
        await self._subscriber.start()
        if self._settings.buckets_dir is not None and isinstance(self._streams, EmbeddedStreams):
            self._begin("taurus-folders", self._watch(self._settings.buckets_dir, self._streams))
        self._begin("taurus-intake", self.intake.run_forever())
        self._begin("taurus-batches", self._batches.sweep_forever())

    async def stop(self) -> None:
        """Messages in hand come again later; batches go on where they are stored."""
        await end(*self._tasks)
        self._tasks.clear()
        await self._subscriber.stop()
        await self._config.stop()

    async def _watch(self, root: Path, streams: EmbeddedStreams) -> None:
        """Looks into every folder below `root`, also those made later: each stands for a bucket."""
        watches: dict[str, FolderWatch] = {}
        while True:
            try:
                for name in await asyncio.to_thread(_folders, root):
                    if name not in watches:
                        watches[name] = FolderWatch(streams, root / name, bucket=name, queue=self._settings.queue)
                    await watches[name].look()
            except (OSError, Unavailable) as error:
                self._log.warning("watch_failed", reason=str(error))
            await asyncio.sleep(LOOK_S)

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    def _ended(self) -> list[str]:
        ended = [task.get_name() for task in self._tasks if task.done()]
        return [*ended, JOBS.name] if self._subscriber.ended else ended

    async def _check(self) -> None:
        if not self._tasks:
            raise Unavailable("Taurus is still starting")
        await self._streams.ping()

    async def _status(self) -> Status:
        return Status(
            streams=[
                StreamStatus(
                    stream=one.config.stream,
                    organisation=one.organisation,
                    bucket=one.config.bucket,
                    prefix=one.config.prefix,
                    album=one.config.album,
                    model_version=one.config.model_version,
                )
                for one in self._active.all()
            ],
            waiting=self.intake.waiting,
            received=self.intake.counters.received,
            deleted=self.intake.counters.deleted,
            set_aside=self.intake.counters.set_aside,
            notifications=await self._store.count("notified"),
        )


def _folders(root: Path) -> list[str]:
    root.mkdir(parents=True, exist_ok=True)
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def build(
    settings: TaurusSettings,
    *,
    bus: Bus,
    objects: Objects,
    streams: Streams,
    aries: AriesClient,
    argo: ArgoClient,
    keys: TokenKeys,
    clock: Clock | None = None,
    tracer: Tracer | None = None,
) -> Taurus:
    """Taurus over open ports and clients."""
    return Taurus(
        settings,
        bus=bus,
        objects=objects,
        streams=streams,
        aries=aries,
        argo=argo,
        keys=keys,
        clock=clock or SystemClock(),
        tracer=tracer or Tracer(),
    )
