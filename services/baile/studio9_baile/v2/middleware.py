"""What happens to a request of `/v2.0` before it reaches a route: a trailing slash goes, and its body is limited."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio9_common.errors import TooLarge
from studio9_common.http.app import PROBLEM

MULTIPART_OVERHEAD = 64 * 1024
"""Bytes that the other parts of a multipart body may take beside the file."""


class BodyTooLarge(HTTPException):
    """The body is larger than this route accepts. (An HTTPException, so that reading a form lets it through.)"""

    def __init__(self, limit: int) -> None:
        self.errors = [{"field": "body", "fix": f"send at most {limit} bytes"}]
        super().__init__(413, f"The body is larger than the {limit} bytes that this route accepts; send less")


def too_large(limit: int) -> Response:
    """The refusal as `/v2.0` writes it."""
    refusal = BodyTooLarge(limit)
    content = {"code": 413, "message": refusal.detail, "errors": refusal.errors}
    return JSONResponse(content, 413, {"Connection": "close"})


def too_large_problem(limit: int) -> Response:
    """The refusal as problem details."""
    refusal = TooLarge(field="body", fix=f"send at most {limit} bytes")
    return JSONResponse(refusal.problem(), 413, {"Connection": "close"}, PROBLEM)


class LimitBody:
    """Stops a body that is larger than its route allows, by its announced length or as it comes in."""

    def __init__(
        self, app: ASGIApp, *, usual: int, uploads: Mapping[str, int], refuse: Callable[[int], Response]
    ) -> None:
        self._app, self._usual, self._refuse = app, usual, refuse
        self._uploads = [(re.compile(pattern), limit + MULTIPART_OVERHEAD) for pattern, limit in uploads.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        limit = next((limit for pattern, limit in self._uploads if pattern.search(path)), self._usual)
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > limit:
            # Raised here it would pass the error handlers by: they stand further in.
            await self._refuse(limit)(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise BodyTooLarge(limit)
            return message

        await self._app(scope, limited, send)


class RefuseNul:
    """Stops a query that holds a NUL, which databases refuse in a text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query: bytes = scope.get("query_string", b"")
        if not query:
            await self._app(scope, receive, send)
            return
        given = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        field = next((name for name, value in given if "\x00" in name + value), None)
        if field is None:
            await self._app(scope, receive, send)
            return
        entry = {"field": field.replace("\x00", ""), "fix": "remove the NUL"}
        message = f"The request content was malformed: {entry['field']}: {entry['fix']}"
        await JSONResponse({"code": 400, "message": message, "errors": [entry]}, 400)(scope, receive, send)


class DropTrailingSlash:
    """`/albums/` is `/albums`."""

    def __init__(self, app: ASGIApp, prefixes: tuple[str, ...]) -> None:
        self._app, self._prefixes = app, prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.endswith("/") and path.startswith(self._prefixes):
            scope = {**scope, "path": path.rstrip("/"), "raw_path": scope.get("raw_path", b"").rstrip(b"/")}
        await self._app(scope, receive, send)
