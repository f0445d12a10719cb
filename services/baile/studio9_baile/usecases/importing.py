"""What comes into albums from buckets: pictures or a video, in a process of its own, and labels, at once."""

import asyncio
import hashlib
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import IMPORT_PICTURES, IMPORT_VIDEO, VIDEO_IMPORT
from studio9_baile.models.pictures import Album, AlbumStatus
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.albums import AlbumLocked, editable, fillable
from studio9_baile.usecases.asking import begin_local
from studio9_baile.usecases.buckets import BucketReference, fetch_file, forget_secret, keep_place, open_now, path_in
from studio9_baile.usecases.catalogue import framework_of
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.label_csv import Report, upload_labels
from studio9_baile.usecases.pictures import Upload
from studio9_baile.usecases.quotas import check_room
from studio9_common.errors import BadInput
from studio9_common.ids import new_id
from studio9_task.frames import KIND, MOST_FRAMES

VIDEOS = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".ogv")


async def import_pictures(
    core: Core,
    caller: Caller,
    album_id: str,
    reference: BucketReference,
    path: str | None,
    *,
    labels: Upload | None = None,
    labels_path: str | None = None,
) -> Album:
    """Starts bringing in the pictures below a path; the album is UPLOADING until they are there. Labels come from a
    file, or from the bucket. Raises NotFound, AccessDenied, AlbumLocked, QuotaReached, BadInput."""
    async with core.database.read(caller.organisation) as work:
        await fillable(work, caller, album_id)
        await check_room(core, work, pictures=1)
    context: dict[str, Any] = {"path": path_in(path, "S3ImagesPath")}
    if labels is not None:
        key = f"{caller.organisation}/scratch/{new_id()}/labels.csv"
        await core.objects.put(key, labels.path, content_type="text/csv", sha256=labels.sha256)
        context["labels"] = {"object": key, "sha256": labels.sha256}
    elif labels_path:
        context["labels"] = {"path": path_in(labels_path, "S3CSVPath")}
    return await _begin(
        core, caller, reference, IMPORT_PICTURES, "S3_IMAGES_IMPORT", context,
        album=lambda work: fillable(work, caller, album_id, lock=True),
    )  # fmt: skip


async def import_labels(
    core: Core, caller: Caller, album_id: str, reference: BucketReference, path: str | None
) -> tuple[Album, Report]:
    """Labels from a CSV in a bucket. Raises NotFound, AccessDenied, AlbumLocked, BadInput."""
    async with core.database.read(caller.organisation) as work:
        await editable(work, caller, album_id)
    key = path_in(path, "S3CSVPath")
    if not key:
        raise BadInput("Path is invalid", field="S3CSVPath", fix="give the path of the CSV in the bucket")
    bucket = await open_now(core, reference)
    folder = core.settings.work_dir / "uploads"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        file = Path(temporary) / "labels.csv"
        size = await fetch_file(bucket, key, file, core.settings.max_labels_csv, "S3CSVPath")
        return await upload_labels(core, caller, album_id, await asyncio.to_thread(_upload, file, size))


async def import_video(
    core: Core, caller: Caller, album_id: str, reference: BucketReference, path: str | None, every: int | None
) -> Album:
    """Starts bringing in each `every`-th frame of a video as a picture of an empty album, which is UPLOADING until they
    are there. Raises NotFound, AccessDenied, AlbumLocked, QuotaReached, BadInput."""
    async with core.database.read(caller.organisation) as work:
        await _for_video(work, caller, album_id)
        await check_room(core, work, pictures=1)
    divider = 1 if every is None else every
    context: dict[str, Any] = {"path": _video_path(path), "every": divider}
    if not 1 <= divider <= MOST_FRAMES:
        raise BadInput(
            "Frame rate divider is out of range", field="frameRateDivider", value=every, fix=f"1 to {MOST_FRAMES}"
        )
    context["framework"] = framework_of(await core.catalogue.current(), KIND)
    return await _begin(
        core, caller, reference, IMPORT_VIDEO, VIDEO_IMPORT, context,
        album=lambda work: _for_video(work, caller, album_id),
    )  # fmt: skip


async def _begin(
    core: Core, caller: Caller, reference: BucketReference, kind: str, job_type: str, context: dict[str, Any], *,
    album: Callable[[Work], Awaitable[Album]],
) -> Album:  # fmt: skip
    """Keeps the bucket's place and begins the process that brings things into the album, which is locked and judged
    once more; nothing is kept if that fails."""
    place = await keep_place(core, caller, reference)
    try:
        async with core.database.write(caller.organisation) as work:
            found = await album(work)
            found.status, found.updated_at = AlbumStatus.UPLOADING, work.now
            begin_local(work, kind, job_type, Kind.ALBUM, found.id, caller.user, context | {"place": place})
            changed(work, Kind.ALBUM, found.id, "import_started", by=caller, status=found.status)
    except BaseException:
        await forget_secret(core, caller.organisation, place)
        raise
    return found


async def _for_video(work: Work, caller: Caller, album_id: str) -> Album:
    """The album, if a video may come into it."""
    album = await fillable(work, caller, album_id, lock=True)
    if await work.pictures.count(work.pictures.row.album == album.id):
        raise AlbumLocked(
            "Can not perform the operation for video because album already has pictures", field="album",
            fix="make a new album",
        )  # fmt: skip
    return album


def _video_path(path: str | None) -> str:
    found = path_in(path, "S3VideoPath")
    if not found.lower().endswith(VIDEOS):
        raise BadInput(
            "Path is invalid",
            field="S3VideoPath",
            value=found[:100],
            fix=f"name a file that ends in {', '.join(VIDEOS)}",
        )
    return found


def _upload(path: Path, size: int) -> Upload:
    with path.open("rb") as file:
        return Upload(path, size, hashlib.file_digest(file, "sha256").hexdigest(), path.name)
