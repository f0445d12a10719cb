"""Routers of `/v1`: an `Idempotency-Key` names a POST, `ETag` and `If-Match` keep changes apart; texts that cannot be
stored are never taken."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from studio9_baile.conditional import base_core, conditionally, core_of
from studio9_baile.core import Caller
from studio9_baile.repositories.holding import Holding
from studio9_baile.usecases import repeating
from studio9_baile.usecases.repeating import Answered
from studio9_baile.v1.dependencies import signed_in
from studio9_baile.v2.routing import check_texts
from studio9_common.errors import Studio9Error, Unauthenticated

KEY = "Idempotency-Key"
SECRET = {"Cache-Control": "no-store"}
"""Headers of an answer that holds a secret: nobody keeps it."""


class V1Route(APIRoute):
    """See the module's docstring. Before a sign-in there is nobody whose key it could be: there the key is ignored."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            return await conditionally(self.path, request, once)

        async def once(request: Request) -> Response:
            key = request.headers.get(KEY)
            try:
                # What has no form is read by its route as it comes in, unless its bytes say which request it is.
                body = await request.body() if self.body_field is not None or key is not None else b""
            except ClientDisconnect:
                raise HTTPException(400) from None
            if self.body_field is not None and body:
                check_texts(body)
            if request.method != "POST" or key is None:
                return await handle(request)
            try:
                caller = await signed_in(request)
            except Unauthenticated:
                return await handle(request)
            return await _once(request, caller, key, body, handle)

        return checked


async def _once(
    request: Request, caller: Caller, key: str, body: bytes, handle: Callable[[Request], Coroutine[Any, Any, Response]]
) -> Response:
    core = base_core(request)
    mark = await asyncio.to_thread(repeating.fingerprint, request.method, request.url.path, request.url.query, body)
    before = await repeating.begin(core, caller, key, mark)
    if before is not None:
        return Response(before.body, before.status, {"Idempotency-Replayed": "true"}, before.content_type)
    database = Holding(core_of(request).database)
    request.state.core = replace(core, database=database)
    try:
        response = await handle(request)
        secret = response.headers.get("cache-control") == "no-store"
        kind = response.headers.get("content-type", "application/json")
        answered = Answered(response.status_code, kind, bytes(response.body))
        await repeating.finish(database, caller, key, answered, secret=secret)
    except BaseException as error:
        if isinstance(error, Studio9Error):
            await database.settle()  # what a refusal leaves on purpose
        await database.undo()
        await repeating.forget(core, caller, key)
        raise
    return response


def router(prefix: str = "", tag: str | None = None) -> APIRouter:
    """A router of `/v1`."""
    return APIRouter(prefix=prefix, route_class=V1Route, tags=[tag] if tag else None)
