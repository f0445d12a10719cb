"""Composition of Pegasus."""

from fastapi import FastAPI
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from studio9_common.bus.port import Bus, Queue
from studio9_common.bus.subscriber import Subscriber, each
from studio9_common.clients.argo import ArgoClient
from studio9_common.config import LiveConfig
from studio9_common.contracts.messages import JobCompleted
from studio9_common.errors import Unavailable
from studio9_common.health import Liveness
from studio9_common.http.app import create_app
from studio9_common.live import LiveSettings, live_schemas
from studio9_common.logs import logger
from studio9_common.metrics import Metrics
from studio9_common.metrics_bus import MeasuredBus, measure_queues
from studio9_common.objects.port import Objects
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Tracer
from studio9_common.warehouse.port import Warehouse
from studio9_pegasus.loading import Loading
from studio9_pegasus.routes import router
from studio9_pegasus.settings import PegasusSettings

JOBS = Queue("pegasus.jobs.v1", bindings=(JobCompleted.routing_key,))


class Pegasus:
    """The service. Nothing is consumed before the tables are there."""

    name = "pegasus"

    def __init__(
        self,
        settings: PegasusSettings,
        *,
        bus: Bus,
        objects: Objects,
        warehouse: Warehouse,
        argo: ArgoClient,
        keys: TokenKeys,
        tracer: Tracer,
    ) -> None:
        metrics, alive = Metrics(), Liveness()
        bus = MeasuredBus(bus, metrics)
        self._bus, self._warehouse = bus, warehouse
        self._log = logger(self.name)
        self._prepared = False
        file = settings.state_dir / "configuration.json"
        self._config = LiveConfig(argo, bus, service=self.name, file=file, schemas=live_schemas(PegasusSettings))
        live = LiveSettings(settings, self._config)
        loading = Loading(bus, objects, warehouse, live.now, tracer)
        self._subscriber = Subscriber(bus, JOBS, each(loading.handle), prefetch=4, on_dead_letter=loading.given_up)
        measure_queues(metrics, lambda: [self._subscriber])
        alive.watch(lambda: [JOBS.name] if self._subscriber.ended else [])
        self.asgi: FastAPI = create_app(
            self.name,
            keys=keys,
            checks={"warehouse": self._check, "bus": bus.ping, "objects": objects.ping},
            alive=alive,
            metrics=metrics,
            tracer=tracer,
            docs_url=None,
            redoc_url=None,
        )
        self.asgi.include_router(router(warehouse, live.now))

    async def start(self) -> None:
        """Makes the tables, waiting while the warehouse is away; completed jobs wait in the queue meanwhile."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Unavailable), wait=wait_random_exponential(multiplier=0.2, max=5)
        ):
            with attempt:
                try:
                    await self._bus.declare(JOBS)
                    await self._warehouse.prepare()
                except Unavailable as error:
                    self._log.warning("not_ready", message=error.message)
                    raise
        self._prepared = True
        await self._config.start()
        await self._subscriber.start()

    async def stop(self) -> None:
        """Finishes a running load, or leaves it to be repeated: a load is one transaction."""
        await self._subscriber.stop()
        await self._config.stop()

    async def _check(self) -> None:
        if not self._prepared:
            raise Unavailable("the tables are not prepared yet")
        await self._warehouse.ping()


def build(
    settings: PegasusSettings,
    *,
    bus: Bus,
    objects: Objects,
    warehouse: Warehouse,
    argo: ArgoClient,
    keys: TokenKeys,
    tracer: Tracer | None = None,
) -> Pegasus:
    """Pegasus over open ports."""
    tracer = tracer or Tracer()
    return Pegasus(settings, bus=bus, objects=objects, warehouse=warehouse, argo=argo, keys=keys, tracer=tracer)
