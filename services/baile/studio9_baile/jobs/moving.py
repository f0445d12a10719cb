"""One chunk of each kind of transfer: what is fetched or sent, and what is written of it."""

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.jobs.telling import tell
from studio9_baile.models.identity import Role
from studio9_baile.models.jobs import Process
from studio9_baile.repositories.work import Work
from studio9_baile.security.decoder import Decoded, PictureDamaged, PictureTooLarge, PictureUnsupported
from studio9_baile.security.names import BadFileName, file_name
from studio9_baile.usecases.buckets import fetch_file, open_place
from studio9_baile.usecases.file_sets import OPAQUE, add_file, file_path, stored_key
from studio9_baile.usecases.keeping import keep
from studio9_baile.usecases.label_csv import upload_labels
from studio9_baile.usecases.pictures import Upload
from studio9_baile.usecases.quotas import check_room
from studio9_common.errors import BadInput
from studio9_common.ids import new_id
from studio9_common.objects.cloud import CloudObjects
from studio9_common.objects.port import ObjectInfo

LEASE_S = 120.0
"""How long a transfer belongs to the instance that works on it; each chunk renews it."""
CHUNK = 20
"""Files of one transaction."""
MOST = 1_000_000
"""Files of one transfer."""
PICTURES = (".png", ".jpg", ".jpeg", ".gif")


class Done(Enum):
    """How far a chunk has brought the transfer."""

    some = "some"
    all = "all"
    handed_over = "handed over"
    """A job goes on with it."""


Step = Callable[[Core, Process], Awaitable[Done]]


@dataclass(frozen=True, slots=True)
class _Fetched:
    info: ObjectInfo
    path: Path
    sha256: str


async def _next(bucket: CloudObjects, process: Process) -> tuple[list[ObjectInfo], dict[str, Any]]:
    """The next objects of a transfer, and where it stands; the first time all are counted."""
    prefix, cursor = process.context["path"], dict(process.cursor or {})
    if not cursor:
        total = 0
        async for _ in bucket.list(prefix):
            total += 1
            if total > MOST:
                raise BadInput(f"there are more than {MOST} files; bring them in part by part")
        if total == 0:
            raise BadInput(f"there are no files below {prefix or 'the bucket'!r}")
        cursor = {"after": None, "seen": 0, "total": total}
    found: list[ObjectInfo] = []
    async for info in bucket.list(prefix, after=cursor["after"]):
        found.append(info)
        if len(found) == CHUNK:
            break
    return found, cursor


def _advance(work: Work, process: Process, cursor: dict[str, Any], found: list[ObjectInfo]) -> None:
    seen = cursor["seen"] + len(found)
    process.cursor = cursor | {"after": found[-1].key, "seen": seen}
    process.progress = min(0.99, seen / max(seen, cursor["total"]))
    if process.started_at is not None:
        elapsed = (work.now - process.started_at).total_seconds()
        process.remaining_s = elapsed / seen * max(0, cursor["total"] - seen)
    tell(work, process)


async def import_pictures(core: Core, process: Process) -> Done:
    """Brings in the next pictures; what is no picture is passed over. At the end come the labels."""
    bucket = await open_place(core, process.organisation, process.context["place"])
    found, cursor = await _next(bucket, process)
    if not found:
        await _labels(core, process, bucket)
        return Done.all
    await _check_room(core, process, found, pictures=True)
    with tempfile.TemporaryDirectory(dir=await transfers_folder(core)) as temporary:
        fetched: list[tuple[_Fetched, Decoded, str]] = []
        for info in found:
            picture = await _picture(core, process.organisation, bucket, info, Path(temporary))
            if picture is not None:
                fetched.append(picture)
    async with core.database.write(process.organisation) as work:
        row = await work.processes.get(process.id, lock=True)
        album = await work.albums.find(process.target_id)
        if (row.cursor or {}).get("after") != cursor["after"] or album is None:
            return Done.some if album is not None else Done.all
        there = await work.pictures.by_source(album.id, [f"s3:{one.info.key}" for one, _, _ in fetched])
        for one, decoded, name in fetched:
            source = f"s3:{one.info.key}"
            if source not in there:
                _add_picture(core, work, album.id, one, decoded, name, source)
        _advance(work, row, cursor, found)
    return Done.some


async def _check_room(core: Core, process: Process, found: list[ObjectInfo], *, pictures: bool = False) -> None:
    """Raises QuotaReached where the organisation may not keep these as well."""
    size = sum(info.size for info in found)
    async with core.database.read(process.organisation) as work:
        await check_room(core, work, pictures=len(found) if pictures else 0, size=size)


async def _picture(
    core: Core, organisation: str, bucket: CloudObjects, info: ObjectInfo, folder: Path
) -> tuple[_Fetched, Decoded, str] | None:
    if not info.key.lower().endswith(PICTURES) or not 0 < info.size <= core.settings.max_picture:
        return None
    try:
        name = file_name(info.key.rpartition("/")[2])
        one = await _fetch(bucket, info, folder)
        decoded = await core.decoder.decode(one.path)
    except (BadFileName, PictureUnsupported, PictureDamaged, PictureTooLarge):
        return None
    key = f"{organisation}/pictures/{one.sha256}"
    await keep(core, key, one.path, content_type=decoded.content_type, sha256=one.sha256)
    await asyncio.to_thread(one.path.unlink)
    return one, decoded, name


def _add_picture(core: Core, work: Work, album: str, one: _Fetched, decoded: Decoded, name: str, source: str) -> None:
    work.pictures.make(
        album=album,
        sha256=one.sha256,
        key=f"{work.organisation}/pictures/{one.sha256}",
        profile=core.objects.profile,
        content_type=decoded.content_type,
        size=one.info.size,
        width=decoded.width,
        height=decoded.height,
        filename=name,
        source=source,
    )


async def _labels(core: Core, process: Process, bucket: CloudObjects) -> None:
    """The labels that came with the import."""
    given = process.context.get("labels")
    if given is None:
        return
    with tempfile.TemporaryDirectory(dir=await transfers_folder(core)) as temporary:
        path = Path(temporary) / "labels.csv"
        if "object" in given:
            await core.objects.download(given["object"], path)
        else:
            await fetch_file(bucket, given["path"], path, core.settings.max_labels_csv, "S3CSVPath")
        owner = Caller(process.owner, process.organisation, "", Role.editor, frozenset())
        size = (await asyncio.to_thread(path.stat)).st_size
        upload = Upload(path, size, "", path.name)
        await upload_labels(core, owner, process.target_id, upload, while_filling=True)
    if "object" in given:
        await core.objects.delete(given["object"])


async def import_files(core: Core, process: Process) -> Done:
    """Brings in the next files of a dataset, named by their path below the transfer's."""
    bucket = await open_place(core, process.organisation, process.context["place"])
    found, cursor = await _next(bucket, process)
    if not found:
        return Done.all
    await _check_room(core, process, found)
    prefix = f"{process.context['path']}/" if process.context["path"] else ""
    with tempfile.TemporaryDirectory(dir=await transfers_folder(core)) as temporary:
        fetched: dict[str, _Fetched] = {}
        for info in found:
            if info.size > core.settings.max_files:
                raise BadInput(f"{info.key} has {info.size} bytes, at most {core.settings.max_files} are taken")
            one = await _fetch(bucket, info, Path(temporary))
            key = stored_key(process.organisation, one.sha256)
            await keep(core, key, one.path, content_type=OPAQUE, sha256=one.sha256)
            await asyncio.to_thread(one.path.unlink)
            fetched[file_path(info.key.removeprefix(prefix))] = one
    async with core.database.write(process.organisation) as work:
        row = await work.processes.get(process.id, lock=True)
        files = await work.file_sets.find(process.target_id)
        if (row.cursor or {}).get("after") != cursor["after"] or files is None:
            return Done.some if files is not None else Done.all
        for known in await work.files.of(files.id, list(fetched)):
            await work.files.remove(known)
        await work.flush()
        for name, one in fetched.items():
            add_file(core, work, files, name, one.sha256, one.info.size)
        _advance(work, row, cursor, found)
    return Done.some


async def export_files(core: Core, process: Process) -> Done:
    """Sends the next files of a dataset. What is there under the name already, with another content, is not
    overwritten: then the export fails."""
    bucket = await open_place(core, process.organisation, process.context["place"])
    cursor = dict(process.cursor or {"after": "", "seen": 0})
    async with core.database.read(process.organisation) as work:
        files = await work.files.of(process.target_id)
    waiting = list(islice((one for one in files if one.name > cursor["after"]), CHUNK))
    if not waiting:
        return Done.all
    prefix = f"{process.context['path']}/" if process.context["path"] else ""
    for file in waiting:
        stream = await core.objects.stream(file.key)
        await bucket.put(f"{prefix}{file.name}", stream, content_type=file.content_type, sha256=file.sha256)
    async with core.database.write(process.organisation) as work:
        row = await work.processes.get(process.id, lock=True)
        seen = cursor["seen"] + len(waiting)
        row.cursor = {"after": waiting[-1].name, "seen": seen}
        row.progress = min(0.99, seen / len(files))
        tell(work, row)
    return Done.some


async def transfers_folder(core: Core) -> Path:
    """Where files lie on their way."""
    folder = core.settings.work_dir / "transfers"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    return folder


async def _fetch(bucket: CloudObjects, info: ObjectInfo, folder: Path) -> _Fetched:
    path = folder / new_id()
    await bucket.download(info.key, path)
    return _Fetched(info, path, await asyncio.to_thread(_hash, path))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
