"""Which part of the library a list shows."""

from dataclasses import dataclass
from typing import Any, Literal

from studio9_baile.core import Caller, Core
from studio9_baile.repositories.base import AssetRepository
from studio9_baile.repositories.paging import Page
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind


@dataclass(frozen=True, slots=True)
class Shelf:
    """`scope`: one's own, what others share, or both; `project` and `folder` narrow it to a place."""

    scope: Literal["all", "personal", "shared"] = "personal"
    project: str | None = None
    folder: str | None = None


async def list_assets(
    core: Core, caller: Caller, kind: Kind, shelf: Shelf, page: Page, *, everybody: bool = False
) -> tuple[list[Any], int]:
    """A page of assets and how many there are. `everybody`: the whole organisation's. Raises NotFound for a project."""
    async with core.database.read(caller.organisation) as work:
        only = None
        if shelf.project is not None:
            project = await work.projects.get(shelf.project)
            if project.owner != caller.user:
                return [], 0
            only = work.links.assets(kind.value, project.id, shelf.folder)
        owners = None if everybody else [] if shelf.scope == "shared" else [caller.user]
        shared = None if shelf.scope == "personal" else work.shares.assets(kind.value, caller.user)
        return await repository_of(work, kind).list(page=page, owners=owners, only=only, shared=shared)


def repository_of(work: Work, kind: Kind) -> AssetRepository[Any]:
    """The repository of a kind that users name."""
    match kind:
        case Kind.ALBUM:
            return work.albums
        case Kind.CV_MODEL:
            return work.models
        case Kind.EXPERIMENT:
            return work.experiments
        case Kind.CV_PREDICTION:
            return work.predictions
        case Kind.ONLINE_JOB:
            return work.deployments
        case Kind.PROJECT:
            return work.projects
        case Kind.DATASET:
            return work.file_sets
        case Kind.ONLINE_API:
            return work.online_apis
        case _:
            raise ValueError(f"{kind} has no name")
