"""Brings the pictures of an augmentation into the new album, chunk by chunk, as `filling` does for predictions."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from studio9_baile.core import Core
from studio9_baile.jobs.filling import CHUNK, Superseded
from studio9_baile.jobs.results import BadResult, fetch, output, take_lines
from studio9_baile.models.jobs import Process, ResultState
from studio9_baile.models.pictures import Album, Picture
from studio9_baile.repositories.system import Scope
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.revisions import revise
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_common.ids import new_id
from studio9_task.augmentations import AugmentedRecord
from studio9_task.problems import describe

CURSOR = "augmented"


async def fill_augmented(
    core: Core, scope: Scope, manifest: AttemptManifest, lease_s: float, *, artifact: str, album: str
) -> None:
    """Fills the album with the pictures that an output of this name lists, from where the process' cursor stands.
    Raises BadResult, Unavailable, Superseded."""
    named = output(manifest, artifact)
    path = await fetch(core, scope.organisation, named.key, named.sha256, f"{scope.id}.augmented.jsonl")
    files = {file.name: file for file in manifest.files}
    while await _chunk(core, scope, album, path, files, lease_s):
        pass


async def _chunk(
    core: Core, scope: Scope, target: str, path: Path, files: Mapping[str, ManifestFile], lease_s: float
) -> bool:
    async with core.database.read(scope.organisation) as work:
        start = _position(await work.processes.get(scope.id))
    lines = await asyncio.to_thread(take_lines, path, start, CHUNK)
    if not lines:
        return False
    records = await asyncio.to_thread(_records, lines)
    for record in records:
        if record.original_id is not None:
            await _keep(core, scope.organisation, record, files)
    async with core.database.write(scope.organisation) as work:
        process = await work.processes.get(scope.id, lock=True)
        if process.result_state is not ResultState.pending:
            raise Superseded
        if _position(process) != start:
            return True
        album = await work.albums.find(target)
        if album is not None:
            await _write(core, work, album, process.id, records, files)
        process.cursor = {**(process.cursor or {}), CURSOR: start + sum(map(len, lines))}
        process.fill_after = work.now.fromtimestamp(work.now.timestamp() + lease_s, work.now.tzinfo)
    return True


def _position(process: Process) -> int:
    return int((process.cursor or {}).get(CURSOR, 0))


def _records(lines: Sequence[bytes]) -> list[AugmentedRecord]:
    try:
        return [AugmentedRecord.model_validate_json(line) for line in lines]
    except ValidationError as error:
        raise BadResult(f"the job's manifest of pictures cannot be read: {describe(error)}") from error


def _file(record: AugmentedRecord, files: Mapping[str, ManifestFile]) -> ManifestFile:
    found = files.get(f"pictures/{record.sha256}")
    if found is None or found.sha256 != record.sha256:
        raise BadResult(f"the job left no picture {record.sha256}")
    return found


async def _keep(core: Core, organisation: str, record: AugmentedRecord, files: Mapping[str, ManifestFile]) -> None:
    """Puts a new picture's bytes where pictures lie: what a job stored goes with the job one day."""
    file = _file(record, files)
    if not file.key.startswith(f"{organisation}/"):
        raise BadResult(f"{file.key} does not belong to the job's organisation")
    stream = await core.objects.stream(file.key)
    key = f"{organisation}/pictures/{record.sha256}"
    await core.objects.put(key, stream, content_type=file.media_type, sha256=record.sha256)


async def _write(
    core: Core,
    work: Work,
    album: Album,
    job: str,
    records: Sequence[AugmentedRecord],
    files: Mapping[str, ManifestFile],
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
        picture = Picture(
            id=new_id(),
            organisation=work.organisation,
            created_at=work.now,
            album=album.id,
            sha256=record.sha256,
            key=f"{work.organisation}/pictures/{record.sha256}",
            profile=core.objects.profile if new or source is None else source.profile,
            content_type=_file(record, files).media_type if new or source is None else source.content_type,
            size=record.size,
            width=record.width,
            height=record.height,
            filename=record.filename,
            caption=source.caption if source else None,
            original=record.original_id if new else (source.original if source else None),
            source=record.picture_id,
            augmentations=[*((source.augmentations if source else None) or []), *applied] or None,
        )
        made[picture.id] = (picture, record)
    work.pictures.add_all(picture for picture, _ in made.values())
    await work.flush()
    labelled = [picture for picture, record in made.values() if record.annotations]
    shapes = {identifier: record.annotations for identifier, (_, record) in made.items()}
    await revise(work, labelled, shapes, source="human", job=job)
