"""Binary datasets: plain sets of files, uploaded, listed, taken out. Bytes are stored once, under their hash."""

import asyncio
import mimetypes
import tarfile
import unicodedata
from collections.abc import AsyncIterator, Sequence

from studio9_baile.core import Caller, Core
from studio9_baile.models.stored import FileSet, FileSetStatus, StoredFile
from studio9_baile.repositories.paging import Page
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import BadFileName, text
from studio9_baile.usecases.access import check_owner, check_read
from studio9_baile.usecases.asking import ask_cancel
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.changes import Kind, changed, forget_place
from studio9_baile.usecases.keeping import keep
from studio9_baile.usecases.pictures import Upload
from studio9_baile.usecases.quotas import check_room
from studio9_common.errors import Conflict, NotFound

LONGEST_PATH = 900
BLOCK = 512
"""A TAR archive is made of such blocks."""


class DatasetBusy(Conflict):
    """The dataset is not idle: files are brought in or out; wait for the end."""

    code = "dataset_busy"


def file_path(name: str) -> str:
    """A file's name, which may have folders in it. Raises BadFileName."""
    path = unicodedata.normalize("NFC", name.strip())
    parts = path.split("/")
    bad = (
        not path
        or len(path.encode(errors="replace")) > LONGEST_PATH
        or any(part in ("", ".", "..") for part in parts)
        or any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in path)
        or "\\" in path
    )
    if bad:
        raise BadFileName(
            field="file", value=repr(name[:100]), fix=f"use names as a/b.txt of up to {LONGEST_PATH} bytes"
        )
    return path


async def create_file_set(core: Core, caller: Caller, name: str | None, description: str | None) -> FileSet:
    """An empty set."""
    wanted = name_of(Kind.DATASET, name)
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.DATASET, caller.user, wanted)
        made = work.file_sets.make(
            owner=caller.user, name=wanted, description=text(description, "description"), status=FileSetStatus.IDLE
        )
        changed(work, Kind.DATASET, made.id, "created", by=caller)
    return made


async def delete_file_set(core: Core, caller: Caller, identifier: str) -> None:
    """Deletes a set with its files, and ends what goes on with it."""
    async with core.database.write(caller.organisation) as work:
        row = await work.file_sets.get(identifier, lock=True)
        check_owner(caller, row)
        for process in await work.processes.live(Kind.DATASET, row.id):
            ask_cancel(work, process, caller.user)
        await forget_place(work, Kind.DATASET, row.id)
        await work.file_sets.remove(row)
        changed(work, Kind.DATASET, row.id, "deleted", by=caller)


async def idle(work: Work, caller: Caller, identifier: str) -> FileSet:
    """The caller's own set, if nothing goes on with it. Raises NotFound, AccessDenied, DatasetBusy."""
    row = await work.file_sets.get(identifier, lock=True)
    check_owner(caller, row)
    if row.status is not FileSetStatus.IDLE:
        raise DatasetBusy(field="status", value=row.status.value)
    return row


async def add_files(core: Core, caller: Caller, identifier: str, uploads: Sequence[Upload]) -> None:
    """Puts files into a set, all or none; one of the same name is replaced."""
    named = {file_path(upload.filename): upload for upload in uploads}
    async with core.database.read(caller.organisation) as work:
        row = await work.file_sets.get(identifier)
        check_owner(caller, row)
        await check_room(core, work, size=sum(upload.size for upload in named.values()))
    for upload in named.values():
        key = stored_key(caller.organisation, upload.sha256)
        await keep(core, key, upload.path, content_type=OPAQUE, sha256=upload.sha256)
    async with core.database.write(caller.organisation) as work:
        row = await idle(work, caller, identifier)
        for known in await work.files.of(row.id, list(named)):
            await work.files.remove(known)
        await work.flush()
        for name, upload in named.items():
            add_file(core, work, row, name, upload.sha256, upload.size)
        row.updated_at = work.now
        work.audit(caller.user, "uploaded", Kind.DATASET, row.id, {"files": len(named)})
        changed(work, Kind.DATASET, row.id, "uploaded")


OPAQUE = "application/octet-stream"
"""Whatever it is: files of one content share the object, whatever their names promise."""


def stored_key(organisation: str, sha256: str) -> str:
    """Where a file's bytes lie."""
    return f"{organisation}/files/{sha256}"


def add_file(core: Core, work: Work, row: FileSet, name: str, sha256: str, size: int) -> None:
    """Adds a file's row; its bytes are there already."""
    work.files.make(
        file_set=row.id,
        name=name,
        key=stored_key(work.organisation, sha256),
        profile=core.objects.profile,
        sha256=sha256,
        size=size,
        content_type=mimetypes.guess_type(name)[0] or OPAQUE,
    )


async def delete_file(core: Core, caller: Caller, identifier: str, name: str) -> None:
    """Takes a file out of a set."""
    async with core.database.write(caller.organisation) as work:
        row = await idle(work, caller, identifier)
        found = await work.files.of(row.id, [name])
        if not found:
            raise NotFound(work.files.missing)
        await work.files.remove(found[0])
        work.audit(caller.user, "file_deleted", Kind.DATASET, row.id, {"file": name})
        changed(work, Kind.DATASET, row.id, "file_deleted")


async def list_files(
    core: Core, caller: Caller, identifier: str, page: Page, share: str | None
) -> tuple[list[tuple[StoredFile, str]], int]:
    """A page of a set's files, each with a URL that needs no credentials and saves it under its name."""
    async with core.database.read(caller.organisation) as work:
        row = await work.file_sets.get(identifier)
        await check_read(work, caller, Kind.DATASET, row, share)
        files, count = await work.files.page(row.id, page)
    expires = core.settings.picture_url_s
    return [
        (file, await core.objects.signed_url(file.key, expires_s=expires, filename=file.name.rpartition("/")[2]))
        for file in files
    ], count


async def files_for_download(
    core: Core, caller: Caller, identifier: str, names: Sequence[str] | None, share: str | None
) -> tuple[FileSet, list[StoredFile]]:
    """A set's files (with these names). Raises NotFound where one is missing."""
    async with core.database.read(caller.organisation) as work:
        row = await work.file_sets.get(identifier)
        await check_read(work, caller, Kind.DATASET, row, share)
        files = await work.files.of(row.id, names)
    missing = sorted(set(names or ()) - {file.name for file in files})
    if missing:
        raise NotFound(f"File not found: {missing[0][:200]}", field="files", value=missing[0][:200])
    return row, files


async def archive(core: Core, files: Sequence[StoredFile]) -> AsyncIterator[bytes]:
    """The files as a TAR archive (POSIX.1-2001), as they are read."""
    for file in files:
        info = tarfile.TarInfo(file.name)
        info.size, info.mtime, info.mode = file.size, int(file.created_at.timestamp()), 0o644
        yield await asyncio.to_thread(info.tobuf, tarfile.PAX_FORMAT)
        async for chunk in await core.objects.stream(file.key):
            yield chunk
        yield b"\0" * (-file.size % BLOCK)
    yield b"\0" * (2 * BLOCK)
