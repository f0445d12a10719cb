"""Serves signed URLs of local objects: GET and HEAD with ranges and validators, PUT that creates.

A browser treats what it gets as data: no sniffing, and no script of an uploaded page runs in our origin.
"""

import re
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from studio9_common.errors import Studio9Error, TooLarge
from studio9_common.objects.content import CHUNK
from studio9_common.objects.disposition import attachment
from studio9_common.objects.local import LocalObjects

MAX_BODY = 5 << 30
"""Bytes of one PUT, S3's limit."""

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_SAFE = {
    "Accept-Ranges": "bytes",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


def router(objects: LocalObjects, *, max_body: int = MAX_BODY) -> APIRouter:
    """Mount it where the objects' `base_url` points. Refusals are problem details (RFC 9457)."""
    routes = APIRouter(include_in_schema=False)

    @routes.api_route("/{key:path}", methods=["GET", "HEAD"])
    async def read(key: str, request: Request) -> Response:
        try:
            left = objects.signer.check(key, request.method, request.query_params)
            return await _answer(objects, key, request, left)
        except Studio9Error as error:
            return _problem(error)

    @routes.put("/{key:path}")
    async def create(key: str, request: Request) -> Response:
        try:
            objects.signer.check(key, "PUT", request.query_params)
            content_type = request.headers.get("content-type", "application/octet-stream")
            info = await objects.put(key, _limited(request, max_body), content_type=content_type)
            return Response(status_code=201, headers={"ETag": f'"{info.sha256}"'})
        except Studio9Error as error:
            return _problem(error)

    return routes


async def _answer(objects: LocalObjects, key: str, request: Request, left: int) -> Response:
    info = await objects.head(key)
    etag = f'"{info.sha256}"'
    headers = _SAFE | {
        "ETag": etag,
        "Last-Modified": info.modified.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "Cache-Control": f"private, max-age={left}, immutable",
    }
    if filename := request.query_params.get("filename"):
        headers["Content-Disposition"] = attachment(filename)
    if etag in (tag.strip() for tag in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    wanted = _range(request, info.size, etag)
    start, end = wanted or (0, info.size)
    if start >= end and wanted:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{info.size}"})
    status = 206 if wanted else 200
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=info.content_type)
    body = _part(objects, key, start, end)
    return StreamingResponse(body, status_code=status, headers=headers, media_type=info.content_type)


def _range(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """Start and end (exclusive) of a single range; None where all is wanted; empty where nothing of it is there."""
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


async def _part(objects: LocalObjects, key: str, start: int, end: int) -> AsyncIterator[bytes]:
    while start < end:
        chunk = await objects.get(key, start=start, length=min(CHUNK, end - start))
        if not chunk:
            return
        yield chunk
        start += len(chunk)


async def _limited(request: Request, limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"an object sent this way has at most {limit} bytes", field="body")
        yield chunk


def _problem(error: Studio9Error) -> JSONResponse:
    return JSONResponse(error.problem(), error.status, media_type="application/problem+json")
