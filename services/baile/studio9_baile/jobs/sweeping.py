"""Removes objects that nothing names any more: bytes of deleted pictures, files and models, and what a crash has left
between an object and its row.

An object is looked at once it is `orphan_age_s` old. What nothing names is marked, and removed by a later sweep if it
has kept its mark for as long: by then every transaction that was to name it has ended. Whoever stores the same bytes
again takes the mark away first (usecases/keeping.py), so nothing is removed that somebody is about to name.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path

from studio9_baile.core import Core
from studio9_baile.jobs.tiled import list_tiles
from studio9_baile.models.jobs import IMPORT_PICTURES, TILING, VIDEO_IMPORT, ResultState
from studio9_baile.repositories.jobs import LIVE
from studio9_baile.repositories.work import Work
from studio9_common.logs import logger
from studio9_common.objects.port import ObjectMissing

AT_ONCE = 500
"""Objects that are looked at in one transaction."""
_HASH = re.compile(rb'"sha256":\s*"([0-9a-f]{64})"')


def _last(key: str) -> str:
    return key.rpartition("/")[2]


def _owner(key: str) -> str:
    return key.split("/")[2]


async def _pictures(work: Work, keys: Sequence[str]) -> set[str]:
    """Those of albums, and tiles. (What other dataset versions hold besides, their manifests say.)"""
    hashes = [_last(key) for key in keys]
    known = await work.pictures.stored(hashes) | await work.dataset_objects.stored(hashes)
    return {key for key in keys if _last(key) in known}


async def _files(work: Work, keys: Sequence[str]) -> set[str]:
    known = await work.files.stored([_last(key) for key in keys])
    return {key for key in keys if _last(key) in known}


async def _code(work: Work, keys: Sequence[str]) -> set[str]:
    """By the hash before the suffix."""
    known = await work.code.stored([_last(key).partition(".")[0] for key in keys])
    return {key for key in keys if _last(key).partition(".")[0] in known}


async def _videos(work: Work, keys: Sequence[str]) -> set[str]:
    """What an album keeps, and what is still on its way into one."""
    coming = await work.processes.going_on(VIDEO_IMPORT)
    return await work.albums.videos(keys) | {one.context["video"]["key"] for one in coming if "video" in one.context}


async def _datasets(work: Work, keys: Sequence[str]) -> set[str]:
    known = await work.dataset_versions.many([_owner(key) for key in keys])
    return {key for key in keys if _owner(key) in known}


async def _models(work: Work, keys: Sequence[str]) -> set[str]:
    known = await work.versions.many([_owner(key) for key in keys])
    return {key for key in keys if _owner(key) in known}


async def _scratch(work: Work, keys: Sequence[str]) -> set[str]:
    """What a process of Baile's still needs. (What belongs to a job is Orion's, and goes with the job.)"""
    known = await work.processes.many([_owner(key) for key in keys])
    going_on = {one.id for one in known.values() if one.status in LIVE or one.result_state is ResultState.pending}
    row = work.processes.row
    imports = await work.processes.all(row.kind == IMPORT_PICTURES, row.result_state == ResultState.pending)
    labels = {(one.context.get("labels") or {}).get("object") for one in imports}
    return {key for key in keys if _owner(key) in going_on or key in labels}


async def _online(work: Work, keys: Sequence[str]) -> set[str]:
    """The lists of pictures that Taurus asks for: needed as long as their job is known, also by its retries."""
    return set()


PLACES: dict[str, Callable[[Work, Sequence[str]], Awaitable[set[str]]]] = {
    "pictures": _pictures,
    "files": _files,
    "code": _code,
    "videos": _videos,
    "datasets": _datasets,
    "models": _models,
    "online": _online,
    "scratch": _scratch,
}
"""The second part of the keys that are swept here, and what tells which of them are named. Jobs' own places are
Orion's; below `scratch` it has those of jobs, and what belongs to no job is left to this sweep."""

OF_JOBS = ("online", "scratch")
"""Places in which the third part of a key is the id of a job: what belongs to one that is known is not touched."""


class Sweeper:
    """The step of the sweeping loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._age = timedelta(seconds=core.settings.orphan_age_s)
        self._log = logger("baile")

    async def step(self) -> bool:
        """One sweep of everything. Raises Unavailable while a store is away; what was found until then is done."""
        async with self._core.database.system(writing=False) as system:
            organisations = await system.organisation_ids()
        for organisation in organisations:
            await list_tiles(self._core, organisation)
            await self._forget_strays(organisation)
            for place in PLACES:
                await self._sweep(organisation, place)
        return False

    async def _forget_strays(self, organisation: str) -> None:
        """Tiles that were noted for a version that did not come about, or has gone meanwhile, are nobody's."""
        async with self._core.database.read(organisation) as work:
            stray = await work.dataset_objects.without_version()
            coming = {one.context["tiles"] for one in await work.processes.going_on(TILING)}
        if gone := stray - coming:
            async with self._core.database.write(organisation) as work:
                for version in gone:
                    await work.dataset_objects.forget(version, unless_there=True)

    async def _sweep(self, organisation: str, place: str) -> None:
        if place == "pictures":
            async with self._core.database.read(organisation) as work:
                if await work.deployments.exists():
                    return  # Taurus stores pictures, too, and its jobs name them before any row does
        removed, due = 0, list[str]()
        keys: list[str] = []
        until = self._core.clock.now() - self._age
        async for info in self._core.objects.list(f"{organisation}/{place}/"):
            if info.modified <= until:
                keys.append(info.key)
            if len(keys) == AT_ONCE:
                due += await self._judge(organisation, place, keys)
                keys = []
        if keys:
            due += await self._judge(organisation, place, keys)
        if due and place == "pictures":
            due = await self._not_in_manifests(organisation, due)
        for key in due:
            removed += await self._remove(organisation, place, key)
        if removed:
            self._log.info("orphans_removed", organisation=organisation, place=place, objects=removed)

    async def _judge(self, organisation: str, place: str, keys: Sequence[str]) -> list[str]:
        """Marks what nothing names, and unmarks what something does; those whose time has come."""
        others: Collection[str] = ()
        if place in OF_JOBS:
            ids = list(dict.fromkeys(_owner(key) for key in keys))
            found = await self._core.aries.get_many("jobs", ids, organisation=organisation)
            others = {id for id, job in zip(ids, found, strict=True) if job is not None}
        async with self._core.database.read(organisation) as work:
            named = await PLACES[place](work, keys)
            marks = await work.orphans.of(keys)
            now = work.now
        named |= {key for key in keys if _owner(key) in others}
        wrong, new = named & marks.keys(), [key for key in keys if key not in named and key not in marks]
        if wrong or new:
            async with self._core.database.write(organisation) as work:
                for key in wrong:
                    await work.orphans.spare(key)
                for key in new:
                    work.orphans.make(key=key)
        return [key for key, mark in marks.items() if key not in named and now - mark.created_at >= self._age]

    async def _remove(self, organisation: str, place: str, key: str) -> bool:
        """Removes an object that has kept its mark. Whoever wants to store it again waits for the mark's row."""
        async with self._core.database.write(organisation) as work:
            mark = (await work.orphans.of([key], lock=True)).get(key)
            if mark is None or await PLACES[place](work, [key]):
                return False
            await self._core.objects.delete(key)
            await work.orphans.remove(mark)
        return True

    async def _not_in_manifests(self, organisation: str, keys: Sequence[str]) -> list[str]:
        """Those that no dataset version of albums names: a version can be used for as long as it is there, whatever has
        become of the album. None while a manifest itself cannot be found: what it named is not known."""
        async with self._core.database.read(organisation) as work:
            manifests = await work.manifests.unlisted()
        named: set[str] = set()
        folder = self._core.settings.work_dir / "sweeping"
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            path = Path(temporary) / "manifest.jsonl"
            for manifest in manifests:
                try:
                    await self._core.objects.download(manifest.key, path)
                except ObjectMissing:
                    self._log.error("manifest_missing", organisation=organisation, key=manifest.key)
                    return []
                named |= await asyncio.to_thread(_hashes, path)
        return [key for key in keys if _last(key) not in named]


def _hashes(path: Path) -> set[str]:
    with path.open("rb") as lines:
        return {found.decode() for line in lines for found in _HASH.findall(line)}
