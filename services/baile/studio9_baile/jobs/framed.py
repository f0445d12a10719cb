"""The frames of a video as pictures of the album: each is known by its number."""

from collections.abc import Sequence

from studio9_baile.core import Core
from studio9_baile.jobs.listed import Files, List, file_of
from studio9_baile.models.pictures import FRAME, Album
from studio9_baile.repositories.work import Work
from studio9_task.frames import FrameRecord


async def _write(core: Core, work: Work, album: Album, job: str, records: Sequence[FrameRecord], files: Files) -> None:
    there = await work.pictures.by_source(album.id, [_source(record) for record in records])
    for record in records:
        if _source(record) in there:
            continue
        work.pictures.make(
            album=album.id,
            sha256=record.sha256,
            key=f"{work.organisation}/pictures/{record.sha256}",
            profile=core.objects.profile,
            content_type=file_of(record, files).media_type,
            size=record.size,
            width=record.width,
            height=record.height,
            filename=record.filename,
            source=_source(record),
        )
    await work.flush()


def _source(record: FrameRecord) -> str:
    return f"{FRAME}{record.frame}"


FRAMES: List[FrameRecord] = List(artifact="manifest", record=FrameRecord, is_new=lambda _: True, write=_write)
