"""Projects, their folders, and which assets are in them."""

import re

from studio9_baile.core import Caller, Core
from studio9_baile.models.library import Folder, Project
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.access import check_owner
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.listing import repository_of
from studio9_common.errors import BadInput, NotFound

SEGMENTS = {
    "albums": Kind.ALBUM,
    "cv-models": Kind.CV_MODEL,
    "cv-predictions": Kind.CV_PREDICTION,
    "experiments": Kind.EXPERIMENT,
    "online-jobs": Kind.ONLINE_JOB,
    "online-apis": Kind.ONLINE_API,
    "datasets": Kind.DATASET,
}
_PATH = re.compile(r"[^/\x00-\x1f]{1,100}(/[^/\x00-\x1f]{1,100}){0,9}")


async def list_projects(core: Core, caller: Caller) -> list[tuple[Project, list[Folder]]]:
    """The caller's projects with their folders."""
    async with core.database.read(caller.organisation) as work:
        projects = await work.projects.of(caller.user)
        folders = await work.folders.of([project.id for project in projects])
    return [(project, folders[project.id]) for project in projects]


async def create_project(core: Core, caller: Caller, name: str | None) -> Project:
    """An empty project."""
    wanted = name_of(Kind.PROJECT, name)
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.PROJECT, caller.user, wanted)
        project = work.projects.make(owner=caller.user, name=wanted)
        changed(work, Kind.PROJECT, project.id, "created", by=caller)
    return project


async def get_project(core: Core, caller: Caller, identifier: str) -> tuple[Project, int]:
    """One project, and how many models it holds."""
    async with core.database.read(caller.organisation) as work:
        project = await _own(work, caller, identifier)
        return project, (await work.links.counts(project.id)).get(Kind.CV_MODEL, 0)


async def rename_project(core: Core, caller: Caller, identifier: str, name: str | None) -> Project:
    """Gives a project another name."""
    wanted = name_of(Kind.PROJECT, name)
    async with core.database.write(caller.organisation) as work:
        project = await _own(work, caller, identifier, lock=True)
        await check_name(work, Kind.PROJECT, caller.user, wanted, other_than=project.id)
        project.name, project.updated_at = wanted, work.now
        changed(work, Kind.PROJECT, project.id, "updated", by=caller)
    return project


async def delete_project(core: Core, caller: Caller, identifier: str) -> None:
    """Deletes a project; its assets stay."""
    async with core.database.write(caller.organisation) as work:
        project = await _own(work, caller, identifier, lock=True)
        await work.projects.remove(project)
        changed(work, Kind.PROJECT, identifier, "deleted", by=caller)


async def create_folder(core: Core, caller: Caller, identifier: str, path: str) -> Folder:
    """A folder `a/b` in a project; its parent must be there."""
    async with core.database.write(caller.organisation) as work:
        project = await _own(work, caller, identifier)
        parent = path.rpartition("/")[0]
        if not _PATH.fullmatch(path) or (parent and await work.folders.at(project.id, parent) is None):
            raise BadInput("Path is invalid", field="path", value=path[:200], fix="write a/b, with a made before")
        if await work.folders.at(project.id, path) is not None:
            raise BadInput("Folder already exists", field="path", value=path, fix="choose another path")
        folder = work.folders.make(project=project.id, path=path)
        changed(work, Kind.FOLDER, folder.id, "created", by=caller)
    return folder


async def get_folder(core: Core, caller: Caller, identifier: str, folder: str) -> Folder:
    """One folder of a project."""
    async with core.database.read(caller.organisation) as work:
        return await _folder(work, await _own(work, caller, identifier), folder)


async def delete_folder(core: Core, caller: Caller, identifier: str, folder: str) -> None:
    """Deletes a folder; its assets leave the project."""
    async with core.database.write(caller.organisation) as work:
        await work.folders.remove(await _folder(work, await _own(work, caller, identifier), folder))
        changed(work, Kind.FOLDER, folder, "deleted", by=caller)


async def link(core: Core, caller: Caller, identifier: str, segment: str, asset: str, folder: str | None) -> None:
    """Puts an asset into a project, once."""
    async with core.database.write(caller.organisation) as work:
        project = await _own(work, caller, identifier)
        kind = await _check_asset(work, caller, segment, asset)
        if folder is not None:
            await _folder(work, project, folder)
        if await work.links.of(project.id, kind, asset) is not None:
            raise BadInput("Asset already exists in project", field="assetId", value=asset, fix="take it out first")
        work.links.make(project=project.id, folder=folder, kind=kind, asset=asset)
        changed(work, Kind.PROJECT, project.id, "updated", by=caller)


async def unlink(core: Core, caller: Caller, identifier: str, segment: str, asset: str) -> None:
    """Takes an asset out of a project."""
    async with core.database.write(caller.organisation) as work:
        project = await _own(work, caller, identifier)
        kind = SEGMENTS.get(segment)
        found = await work.links.of(project.id, kind, asset) if kind else None
        if found is None:
            raise NotFound("Asset not found in project")
        await work.links.remove(found)
        changed(work, Kind.PROJECT, project.id, "updated", by=caller)


async def _own(work: Work, caller: Caller, identifier: str, *, lock: bool = False) -> Project:
    project = await work.projects.get(identifier, lock=lock)
    check_owner(caller, project)
    return project


async def _folder(work: Work, project: Project, identifier: str) -> Folder:
    folder = await work.folders.get(identifier)
    if folder.project != project.id:
        raise NotFound(work.folders.missing)
    return folder


async def _check_asset(work: Work, caller: Caller, segment: str, asset: str) -> str:
    kind = SEGMENTS.get(segment)
    if kind is None:
        raise NotFound(f"There are no assets of the kind {segment[:50]!r}")
    check_owner(caller, await repository_of(work, kind).get(asset))
    return kind.value
