"""Composition of Orion."""

from fastapi import FastAPI

from studio9_common.bus.port import Bus
from studio9_common.http.app import create_app
from studio9_common.objects.port import Objects
from studio9_common.times import Clock, SystemClock
from studio9_common.tokens import TokenKeys
from studio9_orion.engine import Engine
from studio9_orion.routes import router
from studio9_orion.settings import OrionSettings
from studio9_orion.store import Store


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
    ) -> None:
        super().__init__(settings, bus, store, objects, clock)
        self.asgi: FastAPI = create_app(
            self.name,
            keys=keys,
            checks={"bus": bus.ping, "aries": store.ping},
            docs_url=None,
            redoc_url=None,
        )
        self.asgi.include_router(router(self.shell, self.dispatcher))


def build(
    settings: OrionSettings,
    *,
    bus: Bus,
    store: Store,
    objects: Objects,
    keys: TokenKeys | None = None,
    clock: Clock | None = None,
) -> OrionService:
    """Orion over an open bus, Aries' client (or whatever imitates its three calls) and an object storage. `keys` check
    the callers' tokens of the operators' API."""
    return OrionService(settings, bus, store, objects, keys, clock or SystemClock())
