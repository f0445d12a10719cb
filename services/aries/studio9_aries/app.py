"""Composition of Aries."""

import asyncio

from fastapi import FastAPI
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from studio9_aries.handlers import Handlers
from studio9_aries.routes import router
from studio9_aries.settings import AriesSettings
from studio9_common.documents.port import Documents
from studio9_common.errors import Unavailable
from studio9_common.http.app import create_app
from studio9_common.logs import logger
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Tracer


class Aries:
    """The service: `asgi` answers as soon as it is served, with 503 until `start` has prepared the store."""

    name = "aries"

    def __init__(self, settings: AriesSettings, documents: Documents, keys: TokenKeys, tracer: Tracer) -> None:
        self._documents = documents
        self._handlers = Handlers(documents)
        self._log = logger(self.name)
        self.asgi: FastAPI = create_app(
            self.name,
            keys=keys,
            checks={"documents": self._check},
            tracer=tracer,
            docs_url=None,
            redoc_url=None,
        )
        self.asgi.include_router(router(self._handlers, max_body=settings.max_request_bytes))

    async def start(self) -> None:
        """Makes the collections known to the store, waiting while it cannot be reached.

        Raises NotDurable for a store that does not sync each write, MappingConflict for one of another kind.
        """
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Unavailable), wait=wait_random_exponential(multiplier=0.2, max=5)
        ):
            with attempt:
                try:
                    await self._handlers.prepare()
                except Unavailable as error:
                    self._log.warning("store_unavailable", message=error.message)
                    raise

    async def stop(self) -> None:
        """Lets what is in hand finish; the store is closed by whoever opened it."""
        self._handlers.ready = False
        await asyncio.sleep(0)

    async def _check(self) -> None:
        if not self._handlers.ready:
            raise Unavailable("the collections are not prepared yet")
        await self._documents.ping()


def build(settings: AriesSettings, *, documents: Documents, keys: TokenKeys, tracer: Tracer | None = None) -> Aries:
    """Aries over an open document store. `keys` check the callers' tokens."""
    return Aries(settings, documents, keys, tracer or Tracer())
