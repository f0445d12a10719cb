"""The pictures of an augmentation: each knows what was done to which other one."""

from collections.abc import Sequence

from studio9_baile.core import Core
from studio9_baile.jobs.listed import Files, List, file_of
from studio9_baile.models.pictures import Album, Picture
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.revisions import revise
from studio9_task.augmentations import AugmentedRecord


def augmented_list(artifact: str) -> List[AugmentedRecord]:
    """An output that lists augmented pictures, among originals or alone."""
    return List(artifact=artifact, record=AugmentedRecord, is_new=_is_new, write=_write)


def _is_new(record: AugmentedRecord) -> bool:
    return record.original_id is not None


async def _write(
    core: Core, work: Work, album: Album, job: str, records: Sequence[AugmentedRecord], files: Files
) -> None:
    there = await work.pictures.by_source(album.id, [record.picture_id for record in records])
    sources = await work.pictures.many([record.original_id or record.picture_id for record in records])
    made: dict[str, tuple[Picture, AugmentedRecord]] = {}
    for record in records:
        if record.picture_id in there:
            continue
        source = sources.get(record.original_id or record.picture_id)
        new = record.original_id is not None
        applied = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in record.applied]
        picture = work.pictures.make(
            album=album.id,
            sha256=record.sha256,
            key=f"{work.organisation}/pictures/{record.sha256}",
            profile=core.objects.profile if new or source is None else source.profile,
            content_type=file_of(record, files).media_type if new or source is None else source.content_type,
            size=record.size,
            width=record.width,
            height=record.height,
            filename=record.filename,
            caption=source.caption if source else None,
            original=record.original_id if new else (source.made_from if source else None),
            source=record.picture_id,
            augmentations=[*((source.augmentations if source else None) or []), *applied] or None,
        )
        made[picture.id] = (picture, record)
    await work.flush()
    labelled = [picture for picture, record in made.values() if record.annotations]
    shapes = {identifier: record.annotations for identifier, (_, record) in made.items()}
    await revise(work, labelled, shapes, source="human", job=job)
