"""A video on its way from a user's bucket: it is fetched here, within limits, and handed to a job that takes it apart.

The video is kept under its hash: it is the job's input, and once the job has succeeded it is the album's. The process
stays the same one: what began here goes on as the job's.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath

from studio9_baile.core import Core
from studio9_baile.jobs.moving import LEASE_S, Done, transfers_folder
from studio9_baile.models.jobs import IMPORT_VIDEO, Process, ResultState
from studio9_baile.usecases.asking import hand_over
from studio9_baile.usecases.buckets import open_place
from studio9_baile.usecases.keeping import keep
from studio9_baile.usecases.quotas import check_room
from studio9_common.contracts.job import Input, ObjectRef, Requirements, Spec
from studio9_common.errors import BadInput, Unavailable
from studio9_common.objects.cloud import CloudObjects
from studio9_common.tasks import end
from studio9_task.frames import KIND, VIDEO, FramesParameters

PART = 8 << 20
"""Bytes that are fetched at once."""
CONTENT_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm",
    ".mkv": "video/x-matroska", ".avi": "video/x-msvideo", ".mpg": "video/mpeg", ".mpeg": "video/mpeg",
    ".ts": "video/mp2t", ".flv": "video/x-flv", ".wmv": "video/x-ms-wmv", ".ogv": "video/ogg",
}  # fmt: skip
"""What a browser is told that a video is, by its name."""


async def import_video(core: Core, process: Process) -> Done:
    """Fetches the video and hands the process over to a job. Raises BadInput, NotFound, Unavailable."""
    place, path = process.context["place"], process.context["path"]
    bucket = await open_place(core, process.organisation, place)
    name, suffix = PurePosixPath(path).name, PurePosixPath(path).suffix.lower()
    async with _held(core, process) as hold:
        with tempfile.TemporaryDirectory(dir=await transfers_folder(core)) as folder:
            file = Path(folder) / "video"
            ref = await _fetch(core, process.organisation, bucket, path, file, hold)
            if ref is None or await _cancelled(core, process):
                return Done.some
            kind = CONTENT_TYPES.get(suffix, "application/octet-stream")
            await keep(core, ref.key, file, content_type=kind, sha256=ref.sha256)
    parameters = FramesParameters(every=process.context["every"], most=core.settings.max_frames, name=name)
    video = {"key": ref.key, "profile": core.objects.profile, "filename": name, "size": ref.size}
    spec = Spec(
        kind=KIND,
        framework=process.context["framework"],
        parameters=parameters.model_dump(mode="json"),
        inputs=(Input(name=VIDEO, kind="file", ref=ref),),
        requirements=Requirements(),
        max_run_s=core.settings.video_limit_s,
    )
    async with core.database.write(process.organisation) as work:
        row = await work.processes.get(process.id, lock=True)
        if row.kind != IMPORT_VIDEO or row.result_state is not ResultState.pending:
            return Done.handed_over  # somebody else was faster
        if row.cancel_requested_at is None:
            row.context = {**row.context, "place": {}, "outputs": {}, "video": video}
            hand_over(work, row, spec, core.limits)
            return Done.handed_over
    return Done.some


async def _cancelled(core: Core, process: Process) -> bool:
    async with core.database.read(process.organisation) as work:
        return (await work.processes.get(process.id)).cancel_requested_at is not None


async def _fetch(
    core: Core, organisation: str, bucket: CloudObjects, path: str, file: Path, hold: "_Hold"
) -> ObjectRef | None:
    """The video in a local file; None if its fetching was cancelled."""
    limit = core.settings.max_video
    info = await bucket.head(path)
    if not 0 < info.size <= limit:
        raise BadInput(f"{path} has {info.size} bytes, at most {limit} are taken; cut it into parts")
    async with core.database.read(organisation) as work:
        await check_room(core, work, size=info.size)
    digest, size = hashlib.sha256(), 0
    with await asyncio.to_thread(file.open, "wb") as target:
        async for part in await bucket.stream(path, chunk=PART):
            await asyncio.to_thread(target.write, part)
            await asyncio.to_thread(digest.update, part)
            size += len(part)
            if hold.cancelled:
                return None
    sha256 = digest.hexdigest()
    key = f"{organisation}/videos/{sha256}/{VIDEO}{PurePosixPath(path).suffix.lower()}"
    return ObjectRef(key=key, sha256=sha256, size=size)


@dataclass(slots=True)
class _Hold:
    cancelled: bool = field(default=False)


@asynccontextmanager
async def _held(core: Core, process: Process) -> AsyncIterator[_Hold]:
    """Keeps the transfer this instance's while it goes on, and hears of its cancel."""
    hold = _Hold()

    async def renew() -> None:
        while not hold.cancelled:
            with suppress(Unavailable):
                async with core.database.write(process.organisation) as work:
                    row = await work.processes.get(process.id, lock=True)
                    row.fill_after = work.now + timedelta(seconds=LEASE_S)
                    hold.cancelled = row.cancel_requested_at is not None
            await asyncio.sleep(LEASE_S / 24)

    task = asyncio.create_task(renew(), name="video-lease")
    try:
        yield hold
    finally:
        await end(task)
