"""How much there is in the library."""

from typing import Any, Literal

from studio9_baile.core import Caller, Core
from studio9_baile.repositories.base import AssetRepository


async def library_counts(core: Core, caller: Caller, scope: Literal["all", "personal", "shared"]) -> dict[str, int]:
    """Counts by Salsa's names. Nothing is shared yet, so the scope `shared` is empty."""
    names = ("albums", "cvModels", "experiments", "cvPredictions", "projects")
    if scope == "shared":
        return {f"{name}Count": 0 for name in names}
    async with core.database.read(caller.organisation) as work:
        repositories: tuple[AssetRepository[Any], ...] = (
            work.albums, work.models, work.experiments, work.predictions, work.projects,
        )  # fmt: skip
        return {
            f"{name}Count": await repository.count(repository.row.owner == caller.user, *repository.in_library)
            for name, repository in zip(names, repositories, strict=True)
        }
