"""Bodies that may be large: the file of a multipart form, written to a temporary file and hashed as it comes in (a
small picture stays in memory), and JSON that is read in a thread."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import IO, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from studio9_baile.core import Core
from studio9_baile.usecases.pictures import PictureUpload, Upload
from studio9_baile.v2.multipart import BadForm, FormReader
from studio9_baile.v2.routing import check_texts
from studio9_common.errors import BadInput, TooLarge

FOLDER = "uploads"
AT_ONCE = 1 << 20
"""Bytes that are gathered before they go to the disk, beside the loop."""

IN_MEMORY = 64 << 10
"""Bytes of a picture that needs no file: it is hashed and handed on as it is."""

JsonBody = TypeVar("JsonBody", bound=BaseModel)


class _Incoming:
    """The file as far as it has come."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file, self._limit = file, limit
        self._waiting = bytearray()
        self._digest = hashlib.sha256()
        self.size = 0

    def take(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self._limit:
            raise _too_large(self._limit)
        self._waiting += data

    async def write(self, *, all: bool = False) -> None:
        """Writes what waits, if it is much or `all` is wanted."""
        if len(self._waiting) >= AT_ONCE or (all and self._waiting):
            waiting, self._waiting = bytes(self._waiting), bytearray()
            await asyncio.to_thread(self._write, waiting)

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)
        self._file.flush()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def _too_large(limit: int) -> TooLarge:
    return TooLarge("Upload is too large", field="file", fix=f"send at most {limit} bytes")


def _empty() -> BadInput:
    return BadInput("Upload is empty", field="file", fix="choose a file with content")


async def _read_form(
    request: Request, form: FormReader, after_each: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Raises BadForm."""
    try:
        async for chunk in request.stream():
            form.feed(chunk)
            if after_each is not None:
                await after_each()
    except ClientDisconnect:
        raise BadForm("Upload is cut off", field="file", fix="send it again") from None


@asynccontextmanager
async def received(
    request: Request, core: Core, *, limit: int, optional: bool = False
) -> AsyncIterator[tuple[Upload, dict[str, str]]]:
    """The form's `file` and its text fields; the file is removed at the end of the block. Where it is `optional`, an
    upload of size 0 stands for none.

    Raises BadForm, BadInput for an empty file, TooLarge. A body that breaks off leaves nothing.
    """
    folder = core.settings.work_dir / FOLDER
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        incoming = _Incoming(file, limit)
        form = FormReader(request.headers.get("content-type", ""), incoming.take)
        await _read_form(request, form, incoming.write)
        form.close(needs_file=not optional)
        await incoming.write(all=True)
        if incoming.size == 0 and not optional:
            raise _empty()
        yield Upload(Path(file.name), incoming.size, incoming.sha256, form.filename or ""), form.fields


@asynccontextmanager
async def received_picture(
    request: Request, core: Core, *, limit: int
) -> AsyncIterator[tuple[PictureUpload, dict[str, str]]]:
    """As `received`; a small picture stays in memory."""
    announced = request.headers.get("content-length", "")
    if not (announced.isascii() and announced.isdigit() and int(announced) <= IN_MEMORY):
        async with received(request, core, limit=limit) as (upload, fields):
            yield PictureUpload(upload.path, upload.size, upload.sha256, upload.filename), fields
        return
    content = bytearray()
    form = FormReader(request.headers.get("content-type", ""), content.extend)
    await _read_form(request, form)
    form.close()
    if len(content) > limit:
        raise _too_large(limit)
    if not content:
        raise _empty()
    yield (
        PictureUpload(bytes(content), len(content), hashlib.sha256(content).hexdigest(), form.filename or ""),
        form.fields,
    )


@asynccontextmanager
async def received_whole(request: Request, core: Core, *, limit: int, name: str) -> AsyncIterator[Upload]:
    """The body as it is, as a file of this name, which is removed at the end of the block. Raises BadInput for an empty
    one, TooLarge. A body that breaks off leaves nothing."""
    folder = core.settings.work_dir / FOLDER
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        incoming = _Incoming(file, limit)
        try:
            async for chunk in request.stream():
                incoming.take(chunk)
                await incoming.write()
        except ClientDisconnect:
            raise HTTPException(400) from None
        await incoming.write(all=True)
        if incoming.size == 0:
            raise BadInput("The body is empty", field="body", fix="send the file as the request's body")
        yield Upload(Path(file.name), incoming.size, incoming.sha256, name)


@asynccontextmanager
async def received_files(request: Request, core: Core, *, limit: int) -> AsyncIterator[list[Upload]]:
    """All parts `file` of a form; the files are removed at the end of the block. `limit` is for all together.

    Raises BadForm, TooLarge. A body that breaks off leaves nothing.
    """
    folder = core.settings.work_dir / FOLDER
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    with ExitStack() as stack:
        found: list[tuple[str, Path, _Incoming]] = []

        def begin(name: str) -> None:
            file = stack.enter_context(tempfile.NamedTemporaryFile(dir=folder))
            found.append((name, Path(file.name), _Incoming(file, limit)))

        def take(data: bytes) -> None:
            found[-1][2].take(data)
            if sum(incoming.size for _, _, incoming in found) > limit:
                raise TooLarge("Upload is too large", field="file", fix=f"send at most {limit} bytes at a time")

        form = FormReader(request.headers.get("content-type", ""), take, next_file=begin)
        try:
            async for chunk in request.stream():
                form.feed(chunk)
                for _, _, incoming in found:
                    await incoming.write()
        except ClientDisconnect:
            raise BadForm("Upload is cut off", field="file", fix="send it again") from None
        form.close()
        for _, _, incoming in found:
            await incoming.write(all=True)
        yield [Upload(path, incoming.size, incoming.sha256, name) for name, path, incoming in found]


async def received_json(request: Request, form: type[JsonBody]) -> JsonBody:
    """The body as `form`, read beside the event loop. Raises RequestValidationError."""
    try:
        body = await request.body()
    except ClientDisconnect:
        raise HTTPException(400) from None
    return await asyncio.to_thread(_read, body, form)


def _read(body: bytes, form: type[JsonBody]) -> JsonBody:
    check_texts(body)
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        problems = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(problems) from None
