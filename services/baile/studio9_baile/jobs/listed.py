"""Brings the pictures that a job's output lists into an album, chunk by chunk, as `filling` does for predictions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from studio9_baile.core import Core
from studio9_baile.jobs.filling import CHUNK, Superseded
from studio9_baile.jobs.results import BadResult, fetch, output, take_lines
from studio9_baile.models.jobs import Process, ResultState
from studio9_baile.models.pictures import Album
from studio9_baile.repositories.system import Scope
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.keeping import keep
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_task.pictures import PictureRecord
from studio9_task.problems import describe

CURSOR = "listed"
Record = TypeVar("Record", bound=PictureRecord)
Files = Mapping[str, ManifestFile]
"""A job's outputs by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class List(Generic[Record]):
    """An output that lists pictures. `is_new`: the job made the picture; `write` adds rows for records of a chunk."""

    artifact: str
    record: type[Record]
    is_new: Callable[[Record], bool]
    write: Callable[[Core, Work, Album, str, Sequence[Record], Files], Awaitable[None]]


async def fill_listed(
    core: Core, scope: Scope, manifest: AttemptManifest, lease_s: float, listed: List[Record], album: str
) -> None:
    """Fills the album from where the process' cursor stands. Raises BadResult, Unavailable, Superseded."""
    named = output(manifest, listed.artifact)
    path = await fetch(core, scope.organisation, named.key, named.sha256, f"{scope.id}.{listed.artifact}.jsonl")
    files = {file.name: file for file in manifest.files}
    while await _chunk(core, scope, path, files, lease_s, listed, album):
        pass


async def _chunk(
    core: Core, scope: Scope, path: Path, files: Files, lease_s: float, listed: List[Record], target: str
) -> bool:
    async with core.database.read(scope.organisation) as work:
        start = _position(await work.processes.get(scope.id))
    lines = await asyncio.to_thread(take_lines, path, start, CHUNK)
    if not lines:
        return False
    records = await asyncio.to_thread(_records, listed.record, lines)
    for record in records:
        if listed.is_new(record):
            await _keep(core, scope.organisation, record, files)
    async with core.database.write(scope.organisation) as work:
        process = await work.processes.get(scope.id, lock=True)
        if process.result_state is not ResultState.pending:
            raise Superseded
        if _position(process) != start:
            return True
        album = await work.albums.find(target)
        if album is not None:
            await listed.write(core, work, album, process.id, records, files)
        process.cursor = {**(process.cursor or {}), CURSOR: start + sum(map(len, lines))}
        process.fill_after = work.now.fromtimestamp(work.now.timestamp() + lease_s, work.now.tzinfo)
    return True


def _position(process: Process) -> int:
    return int((process.cursor or {}).get(CURSOR, 0))


def _records(kind: type[Record], lines: Sequence[bytes]) -> list[Record]:
    try:
        return [kind.model_validate_json(line) for line in lines]
    except ValidationError as error:
        raise BadResult(f"the job's manifest of pictures cannot be read: {describe(error)}") from error


def file_of(record: PictureRecord, files: Files) -> ManifestFile:
    """The output that holds a new picture. Raises BadResult."""
    found = files.get(f"pictures/{record.sha256}")
    if found is None or found.sha256 != record.sha256:
        raise BadResult(f"the job left no picture {record.sha256}")
    return found


async def _keep(core: Core, organisation: str, record: PictureRecord, files: Files) -> None:
    """Puts a new picture's bytes where pictures lie: what a job stored goes with the job one day."""
    file = file_of(record, files)
    if not file.key.startswith(f"{organisation}/"):
        raise BadResult(f"{file.key} does not belong to the job's organisation")
    stream = await core.objects.stream(file.key)
    key = f"{organisation}/pictures/{record.sha256}"
    await keep(core, key, stream, content_type=file.media_type, sha256=record.sha256)
