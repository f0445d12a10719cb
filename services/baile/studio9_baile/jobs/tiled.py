"""The tiles of a dataset version become one themselves: each knows which pixels of which picture it is."""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from studio9_baile.core import Core
from studio9_baile.jobs.listed import Files, List
from studio9_baile.jobs.results import BadResult, fetch, output
from studio9_baile.models.jobs import Process
from studio9_baile.models.learned import DatasetManifest
from studio9_baile.models.pictures import Album
from studio9_baile.repositories.base import CHUNK
from studio9_baile.repositories.system import Scope
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind, changed, made_from
from studio9_baile.usecases.datasets import SPLITS, NewVersion, Written, add_version, count_objects
from studio9_baile.usecases.tiling import TILE
from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.predictions import AttemptManifest
from studio9_common.objects.port import ObjectMissing
from studio9_task.problems import describe
from studio9_task.tiles import TileRecord

PURPOSE = "tiles"


async def _in_no_album(
    core: Core, work: Work, album: Album, job: str, records: Sequence[TileRecord], files: Files
) -> None:
    """Tiles are pictures of a dataset version alone."""


TILES = List(artifact="manifest", record=TileRecord, is_new=lambda record: True, write=_in_no_album)
"""The output that lists the tiles: bringing it in keeps their bytes."""


@dataclass(slots=True)
class _Manifest:
    """One that is being written."""

    file: IO[bytes]
    pictures: int = 0
    shapes: int = 0


async def write_tiles(core: Core, scope: Scope, process: Process, manifest: AttemptManifest) -> NewVersion:
    """Writes the tiles' manifests, one for each of the original's, by split, and notes whose the tiles are: they count
    once it is ready. Raises BadResult, Unavailable."""
    async with core.database.read(scope.organisation) as work:
        sources = await work.manifests.of(process.context["dataset_version"])
    named = output(manifest, TILES.artifact)
    path = await fetch(core, scope.organisation, named.key, named.sha256, f"{scope.id}.{TILES.artifact}.jsonl")
    version = NewVersion(process.context["tiles"], PURPOSE)
    folder = core.settings.work_dir / "manifests"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {name: _Manifest(stack.enter_context(tempfile.NamedTemporaryFile(dir=folder))) for name in sources}
        tiles = await asyncio.to_thread(_sort, path, files, f"{scope.organisation}/pictures/")
        for name, one in files.items():
            version.manifests.append(await _stored(core, scope.organisation, version.id, sources[name], one))
    sizes = {file.sha256: file.size for file in manifest.files if file.sha256 in tiles}
    await _note(core, scope.organisation, version.id, sizes)
    return version


def _sort(path: Path, files: Mapping[str, _Manifest], prefix: str) -> set[str]:
    """The hashes of all tiles. Blocks."""
    hashes = set[str]()
    by_split = {SPLITS[name]: one for name, one in files.items()}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = TileRecord.model_validate_json(line)
            except ValidationError as error:
                raise BadResult(f"line {number} of the tiles cannot be read: {describe(error)}") from error
            into = by_split.get(record.split)
            if into is None:
                raise BadResult(f"line {number} of the tiles is of split {record.split!r}, which there was not")
            changes: dict[str, Any] = {"key": prefix + record.sha256}
            into.file.write(record.model_copy(update=changes).model_dump_json(exclude_none=True).encode() + b"\n")
            into.pictures += 1
            into.shapes += len(record.annotations)
            hashes.add(record.sha256)
    for one in files.values():
        one.file.flush()
    return hashes


async def _stored(core: Core, organisation: str, version: str, source: DatasetManifest, one: _Manifest) -> Written:
    path, key = Path(one.file.name), f"{organisation}/datasets/{version}/{source.name}.jsonl"
    sha256, size = await asyncio.to_thread(_digest, path)
    await core.objects.put(key, path, content_type="application/jsonl", sha256=sha256)
    return Written(source.name, source.album, ObjectRef(key=key, sha256=sha256, size=size), one.pictures, one.shapes)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


async def _note(core: Core, organisation: str, version: str, sizes: Mapping[str, int]) -> None:
    """A version holds objects of these hashes and sizes, be it in its making: they do not count yet."""
    hashes = sorted(sizes)
    for start in range(0, len(hashes), CHUNK):
        async with core.database.write(organisation) as work:
            await work.dataset_objects.note(version, {one: sizes[one] for one in hashes[start : start + CHUNK]})


async def tiled(core: Core, work: Work, process: Process, version: NewVersion) -> None:
    """A cutting has succeeded: the tiles' dataset version is there, and counts."""
    add_version(work, process.owner, version, core.objects.profile, process.id, listed=True)
    original = process.context["dataset_version"]
    made_from(work, Kind.DATASET_VERSION, version.id, Kind.DATASET_VERSION, original, TILE, process.id)
    changed(work, Kind.DATASET_VERSION, version.id, "created")
    await count_objects(work, version.id)


async def list_tiles(core: Core, organisation: str) -> None:
    """Notes the tiles of dataset versions that were made before tiles were noted, and counts them. One whose manifest
    is missing is left as it is. Raises Unavailable."""
    async with core.database.read(organisation) as work:
        row = work.dataset_versions.row
        versions = await work.dataset_versions.all(row.purpose == PURPOSE, row.listed.is_(False))
        manifests = {version.id: await work.manifests.of(version.id) for version in versions}
    for version, of in manifests.items():
        try:
            lines = b"".join([await core.objects.get(one.key) for one in of.values()]).splitlines()
        except ObjectMissing:
            continue
        await _note(core, organisation, version, await asyncio.to_thread(_sizes, lines))
        async with core.database.write(organisation) as work:
            found = await work.dataset_versions.find(version, lock=True)
            if found is not None and not found.listed:
                found.listed = True
                await count_objects(work, version)


def _sizes(lines: Sequence[bytes]) -> dict[str, int]:
    return {one["sha256"]: one["size"] for one in map(json.loads, lines)}
