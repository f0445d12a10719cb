"""Uploads: one file of a multipart form, written to a temporary file and hashed on its way."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from starlette.datastructures import UploadFile

from studio9_baile.core import Core
from studio9_baile.usecases.pictures import Upload
from studio9_common.errors import BadInput

FOLDER = "uploads"


def folder_of(core: Core) -> Path:
    """Where uploads lie while they are worked on."""
    return core.settings.work_dir / FOLDER


@asynccontextmanager
async def received(request: Request, core: Core, *, limit: int) -> AsyncIterator[tuple[Upload, dict[str, str]]]:
    """The form's `file` and its text fields; the file is removed at the end of the block.

    Raises BadInput without a file or with an empty one. A body that breaks off leaves nothing.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadInput(
            "Upload is not a multipart form", field="file", fix="send multipart/form-data with a part `file`"
        )
    async with request.form(max_files=1, max_fields=50, max_part_size=64 * 1024) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadInput("Upload has no file", field="file", fix="send the file as the part `file`")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        path, size, sha256 = await asyncio.to_thread(_keep, file.file, folder_of(core))
        try:
            if size == 0:
                raise BadInput("Upload is empty", field="file", fix="choose a file with content")
            if size > limit:
                raise BadInput("Upload is too large", field="file", fix=f"send at most {limit} bytes")
            yield Upload(path, size, sha256, file.filename or ""), fields
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)


def _keep(source: BinaryIO, folder: Path) -> tuple[Path, int, str]:
    folder.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as target:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    return Path(target.name), size, digest.hexdigest()
