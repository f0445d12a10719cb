"""Composition of Argo."""

import asyncio

from fastapi import Depends, FastAPI
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from studio9_argo.box import Box
from studio9_argo.collections import INDEXES
from studio9_argo.handlers import Handlers
from studio9_argo.outbox import Outbox
from studio9_argo.routes import router
from studio9_argo.secret_routes import secret_router
from studio9_argo.secrets import Secrets
from studio9_argo.settings import ArgoSettings
from studio9_common.bus.port import Bus
from studio9_common.documents.port import Documents
from studio9_common.errors import Unavailable
from studio9_common.health import Liveness
from studio9_common.http.app import create_app
from studio9_common.logs import logger
from studio9_common.metrics import Metrics
from studio9_common.metrics_bus import MeasuredBus
from studio9_common.tasks import end
from studio9_common.times import Clock, SystemClock
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Tracer


class Argo:
    """The service: `asgi` answers as soon as it is served, with 503 until `start` has prepared the store."""

    name = "argo"

    def __init__(
        self, settings: ArgoSettings, documents: Documents, bus: Bus, keys: TokenKeys, clock: Clock, tracer: Tracer
    ) -> None:
        self._settings, self._documents = settings, documents
        self._log = logger(self.name)
        self._ready = False
        self._rotation: asyncio.Task[None] | None = None
        metrics, alive = Metrics(), Liveness()
        bus = MeasuredBus(bus, metrics)
        self.outbox = Outbox(documents, bus, clock, sweep_s=settings.sweep_s)
        self.secrets = Secrets(documents, Box(settings.fernet_keys.get_secret_value()), clock)
        alive.watch(self._ended)
        # Without the bus values are served and changed, only announced later.
        self.asgi: FastAPI = create_app(
            self.name,
            keys=keys,
            checks={"documents": self._check},
            optional={"bus": bus.ping},
            alive=alive,
            metrics=metrics,
            tracer=tracer,
            docs_url=None,
            redoc_url=None,
        )
        prepared = [Depends(self._check_ready)]
        handlers = Handlers(documents, clock, self.outbox.announce)
        self.asgi.include_router(router(handlers), dependencies=prepared)
        self.asgi.include_router(secret_router(self.secrets), dependencies=prepared)

    async def start(self) -> None:
        """Makes the indexes known to the store, waiting while it cannot be reached; then announces what is left.

        Raises NotDurable for a store that does not sync each write, MappingConflict for one of another kind.
        """
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Unavailable), wait=wait_random_exponential(multiplier=0.2, max=5)
        ):
            with attempt:
                try:
                    await self._documents.ensure(*INDEXES)
                except Unavailable as error:
                    self._log.warning("store_unavailable", message=error.message)
                    raise
        await self.outbox.start()
        self._rotation = asyncio.create_task(self.secrets.rotate_forever(self._settings.rotate_s), name="argo-rotation")
        self._ready = True

    async def stop(self) -> None:
        """Stops the background work; the store and the bus are closed by whoever opened them."""
        self._ready = False
        if self._rotation is not None:
            await end(self._rotation)
            self._rotation = None
        await self.outbox.stop()

    def _ended(self) -> list[str]:
        rotation = [] if self._rotation is None or not self._rotation.done() else ["argo-rotation"]
        return self.outbox.ended() + rotation

    async def _check_ready(self) -> None:
        if not self._ready:
            raise Unavailable("Argo is still preparing its store; try again shortly")

    async def _check(self) -> None:
        await self._check_ready()
        await self._documents.ping()


def build(
    settings: ArgoSettings,
    *,
    documents: Documents,
    bus: Bus,
    keys: TokenKeys,
    clock: Clock | None = None,
    tracer: Tracer | None = None,
) -> Argo:
    """Argo over an open document store and bus. Raises NoKey without a key for secrets."""
    return Argo(settings, documents, bus, keys, clock or SystemClock(), tracer or Tracer())
