"""Routers of `/v2.0`: null is never sent, texts that cannot be stored are never taken, and changes are kept apart."""

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from studio9_baile.conditional import conditionally
from studio9_baile.security.names import first_unstorable

_SUSPECT = re.compile(rb"\\u(0000|[dD][89a-fA-F])")
"""How a NUL or a surrogate comes in: JSON takes neither unescaped."""


class OmittingRoute(APIRoute):
    """A route whose answers leave out what is absent. Its body is refused where a text holds a NUL or half of a
    surrogate pair, also in parts that are kept as they came."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **{**options, "response_model_exclude_none": True})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if self.body_field is not None:
                try:
                    check_texts(await request.body())
                except ClientDisconnect:
                    raise HTTPException(400) from None
            return await conditionally(self.path, request, handle)

        return checked


def check_texts(body: bytes) -> None:
    """Raises RequestValidationError for a JSON body with a text that cannot be stored."""
    if not _SUSPECT.search(body):
        return
    try:
        where = first_unstorable(json.loads(body))
    except (ValueError, RecursionError):
        return  # whoever reads it next says what is wrong
    if where is not None:
        fix = "remove the NUL or the half surrogate pair from the text"
        raise RequestValidationError([{"type": "unstorable", "loc": ("body", *filter(None, [where])), "msg": fix}])


def router() -> APIRouter:
    """A router of `/v2.0`."""
    return APIRouter(route_class=OmittingRoute)
