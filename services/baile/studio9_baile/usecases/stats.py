"""How much there is in the library."""

from typing import Literal

from studio9_baile.core import Caller, Core
from studio9_baile.repositories.paging import Page
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.listing import Shelf, list_assets


async def library_counts(core: Core, caller: Caller, scope: Literal["all", "personal", "shared"]) -> dict[str, int]:
    """Counts by Salsa's names: as many as the lists of that scope show."""
    kinds = {
        "albums": Kind.ALBUM,
        "cvModels": Kind.CV_MODEL,
        "experiments": Kind.EXPERIMENT,
        "cvPredictions": Kind.CV_PREDICTION,
        "binaryDatasets": Kind.DATASET,
        "projects": Kind.PROJECT,
    }
    shelf, least = Shelf(scope), Page(size=1)
    return {f"{name}Count": (await list_assets(core, caller, kind, shelf, least))[1] for name, kind in kinds.items()}
