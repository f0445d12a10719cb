"""Projects and folders."""

from studio9_baile.usecases import projects
from studio9_baile.v2.dependencies import TheCaller, TheCore
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.library import (
    FolderAnswer,
    FolderBody,
    LinkBody,
    ProjectAnswer,
    ProjectBody,
    ProjectListItem,
)

routes = router()


@routes.get("/projects")
async def list_projects(core: TheCore, caller: TheCaller) -> Listed[ProjectListItem]:
    found = await projects.list_projects(core, caller)
    return Listed(data=[ProjectListItem.of(*one) for one in found], count=len(found))


@routes.post("/projects")
async def create(body: ProjectBody, core: TheCore, caller: TheCaller) -> ProjectAnswer:
    return ProjectAnswer.of(await projects.create_project(core, caller, body.name))


@routes.get("/projects/{project_id}")
async def get(project_id: str, core: TheCore, caller: TheCaller) -> ProjectAnswer:
    return ProjectAnswer.of(*await projects.get_project(core, caller, project_id))


@routes.put("/projects/{project_id}")
async def rename(project_id: str, body: ProjectBody, core: TheCore, caller: TheCaller) -> ProjectAnswer:
    return ProjectAnswer.of(await projects.rename_project(core, caller, project_id, body.name))


@routes.delete("/projects/{project_id}")
async def delete(project_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await projects.delete_project(core, caller, project_id)
    return Removed(id=project_id)


@routes.post("/projects/{project_id}/folders")
async def create_folder(project_id: str, body: FolderBody, core: TheCore, caller: TheCaller) -> FolderAnswer:
    return FolderAnswer.of(await projects.create_folder(core, caller, project_id, body.path))


@routes.get("/projects/{project_id}/folders/{folder_id}")
async def get_folder(project_id: str, folder_id: str, core: TheCore, caller: TheCaller) -> FolderAnswer:
    return FolderAnswer.of(await projects.get_folder(core, caller, project_id, folder_id))


@routes.delete("/projects/{project_id}/folders/{folder_id}")
async def delete_folder(project_id: str, folder_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await projects.delete_folder(core, caller, project_id, folder_id)
    return Removed(id=folder_id)


@routes.put("/projects/{project_id}/{kind}/{asset_id}")
async def link(
    project_id: str, kind: str, asset_id: str, core: TheCore, caller: TheCaller, body: LinkBody | None = None
) -> Removed:
    await projects.link(core, caller, project_id, kind, asset_id, body.folderId if body else None)
    return Removed(id=project_id)


@routes.delete("/projects/{project_id}/{kind}/{asset_id}")
async def unlink(project_id: str, kind: str, asset_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await projects.unlink(core, caller, project_id, kind, asset_id)
    return Removed(id=project_id)
