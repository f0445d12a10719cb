"""Cutting a dataset version's pictures into tiles: a job, whose tiles are a dataset version of their own."""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import TILING, Process
from studio9_baile.models.learned import DatasetManifest
from studio9_baile.usecases.access import AccessDenied
from studio9_baile.usecases.asking import Wanted, ask, new_job
from studio9_baile.usecases.catalogue import framework_of
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.quotas import check_room
from studio9_common.contracts.job import Input, ObjectRef, Provenance, Requirements, Spec
from studio9_common.errors import BadInput
from studio9_common.ids import new_id
from studio9_task.tiles import TileParameters, TileSpec

TILE = "tile"
"""The kind of the task, and the role of the original in the tiles' lineage."""
PICTURES = "pictures"
"""The task's input: the pictures of all splits, each of which names its own."""
BESIDES = 10
"""Outputs that are no tiles: their list, the result, and what else may come."""


async def tile_version(core: Core, caller: Caller, identifier: str, parameters: TileParameters) -> Process:
    """Queues the cutting of a dataset version of the caller's. Its process names the dataset version that comes of it,
    which is there once the job has completed. Raises NotFound, AccessDenied, BadInput where no worker cuts tiles or
    none takes so many, QuotaReached where there is no room for as many bytes again."""
    async with core.database.read(caller.organisation) as work:
        source = await work.dataset_versions.get(identifier)
        if source.author != caller.user:
            raise AccessDenied
        manifests = await work.manifests.of(source.id)
    framework = framework_of(await core.catalogue.current(), TILE)
    job, tiles = new_job(), new_id()
    key = f"{caller.organisation}/scratch/{job}/{PICTURES}.jsonl"
    pictures = await _joined(core, caller, key, manifests.values(), parameters.tiles)
    spec = Spec(
        kind=TILE,
        framework=framework,
        parameters=parameters.model_dump(mode="json", exclude_none=True),
        inputs=(Input(name=PICTURES, kind="pictures", ref=pictures),),
        requirements=Requirements(),
        provenance=Provenance(dataset_version=source.id),
    )
    wanted = Wanted(
        id=job,
        owner=caller.user,
        spec=spec,
        job_type=TILING,
        target=Kind.DATASET_VERSION,
        target_id=tiles,
        data={"outputs": {}, "dataset_version": source.id, "tiles": tiles},
    )
    async with core.database.write(caller.organisation) as work:
        await work.dataset_versions.get(source.id, lock=True)  # it may have been deleted meanwhile
        process = ask(work, wanted, core.limits)
        changed(work, Kind.DATASET_VERSION, source.id, "tiling", by=caller)
    return process


async def _joined(
    core: Core, caller: Caller, key: str, manifests: Iterable[DatasetManifest], spec: TileSpec
) -> ObjectRef:
    """One manifest of several, where the job's end removes it. Raises BadInput, QuotaReached as `tile_version`."""
    folder = core.settings.work_dir / "manifests"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for manifest in manifests:
            async for chunk in await core.objects.stream(manifest.key):
                await asyncio.to_thread(file.write, chunk)
                digest.update(chunk)
                size += len(chunk)
        await asyncio.to_thread(file.flush)
        await _check(core, caller, *await asyncio.to_thread(_measured, Path(file.name), spec), spec)
        sha256 = digest.hexdigest()
        await core.objects.put(key, Path(file.name), content_type="application/jsonl", sha256=sha256)
    return ObjectRef(key=key, sha256=sha256, size=size)


def _measured(path: Path, spec: TileSpec) -> tuple[int, int]:
    """(tiles that a manifest's pictures are cut into, bytes of the pictures). Blocks."""
    tiles = size = 0
    with path.open("rb") as lines:
        for record in map(json.loads, lines):
            tiles += spec.tiles_of(record["width"], record["height"])
            size += record["size"]
    return tiles, size


async def _check(core: Core, caller: Caller, tiles: int, size: int, spec: TileSpec) -> None:
    """Raises BadInput for more tiles than a worker takes, so that none is cut in vain, and QuotaReached."""
    most = core.limits.outputs(caller.organisation) - BESIDES
    if tiles > most:
        raise BadInput(
            f"These would be {tiles} tiles; one job makes {most} at most",
            field="size",
            value=spec.size,
            fix="cut larger tiles, with less overlap or scale, or a dataset version of fewer pictures",
        )
    async with core.database.read(caller.organisation) as work:
        await check_room(core, work, size=size)
