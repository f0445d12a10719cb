"""Composition of Orion."""

from fastapi import FastAPI

from studio9_common.bus.port import Bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.config import LiveConfig
from studio9_common.health import Liveness
from studio9_common.http.app import create_app
from studio9_common.metrics import Metrics
from studio9_common.metrics_bus import MeasuredBus, measure_queues
from studio9_common.objects.port import Objects
from studio9_common.times import Clock, SystemClock
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Tracer
from studio9_orion import dead_letter_routes, priority_routes, worker_routes
from studio9_orion.engine import Engine
from studio9_orion.jobs import Jobs
from studio9_orion.joining.composition import broker_users, told
from studio9_orion.joining.members import Members
from studio9_orion.joining.routes import router as joining
from studio9_orion.joining.storage import StorageLender
from studio9_orion.metrics import OrionMetrics
from studio9_orion.observing import Observers
from studio9_orion.routes import router
from studio9_orion.scheduler.rules import SCHEMAS, LiveRules
from studio9_orion.settings import OrionSettings
from studio9_orion.store import Store
from studio9_orion.traces import JobTraces


class OrionService(Engine):
    """The service: the engine and its HTTP side."""

    name = "orion"

    def __init__(
        self,
        settings: OrionSettings,
        bus: Bus,
        store: Store,
        objects: Objects,
        keys: TokenKeys | None,
        clock: Clock,
        tracer: Tracer,
        argo: ArgoClient | None,
    ) -> None:
        metrics, alive = Metrics(), Liveness()
        seen = OrionMetrics(metrics, Jobs(store), clock, settings.policy.lease_s)
        bus = MeasuredBus(bus, metrics)
        super().__init__(settings, bus, store, objects, clock, Observers(seen, JobTraces(tracer)))
        self._config: LiveConfig | None = None
        if argo is not None:
            file = settings.state_dir / "configuration.json"
            self._config = LiveConfig(argo, bus, service=self.name, file=file, schemas=SCHEMAS)
            self._live_rules = LiveRules(self._config, self.rules, self._take_rules)
        alive.watch(self.ended)
        measure_queues(metrics, lambda: self.subscribers)
        metrics.read_counter(
            "studio9_beats_total", "Beats of workers that were handled.", (), lambda: [((), self.supervisor.heard)]
        )
        self.asgi: FastAPI = create_app(
            self.name,
            keys=keys,
            checks={"bus": bus.ping, "queues": self.consuming, "aries": store.ping},
            optional={"objects": objects.ping},
            alive=alive,
            metrics=metrics,
            tracer=tracer,
            docs_url=None,
            redoc_url=None,
        )
        self.asgi.include_router(router(self.shell, self.dispatcher))
        self.asgi.include_router(priority_routes.router(self.shell))
        self.asgi.include_router(worker_routes.router(self.shell, bus))
        self.asgi.include_router(dead_letter_routes.router(bus))
        self._broker = broker_users(settings)
        members = Members(store, clock, self._broker, self.tell_removed)
        lender = StorageLender(settings) if settings.workers_objects_role else None
        self.asgi.include_router(joining(self.shell, members, keys, told(settings), lender))

    async def start(self) -> None:
        """The configuration first: what Argo has said last holds from the first assignment on."""
        if self._config is not None:
            await self._config.start()
            self._live_rules.load()
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        if self._config is not None:
            await self._config.stop()
        if self._broker is not None:
            await self._broker.close()

    def _take_rules(self) -> None:
        self.rules = self._live_rules.current
        self.scheduler.wake()


def build(
    settings: OrionSettings,
    *,
    bus: Bus,
    store: Store,
    objects: Objects,
    keys: TokenKeys | None = None,
    clock: Clock | None = None,
    tracer: Tracer | None = None,
    argo: ArgoClient | None = None,
) -> OrionService:
    """Orion over an open bus, Aries' client (or whatever imitates its three calls) and an object storage. `keys` check
    the callers' tokens of the operators' API. `argo` has weights, limits and classes, followed live; None: none is.
    """
    clock, tracer = clock or SystemClock(), tracer or Tracer()
    return OrionService(settings, bus, store, objects, keys, clock, tracer, argo)
