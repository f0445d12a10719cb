"""What `/v1` knows of albums."""

from typing import Any

from studio9_baile.usecases import label_csv
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import router

routes = router()


@routes.get("/albums/{album_id}/label-report")
async def label_report(album_id: str, core: TheCore, caller: TheCaller) -> dict[str, Any]:
    """What became of the last upload of labels: rows, used, skipped, and each skipped row with its reason."""
    return (await label_csv.last_report(core, caller, album_id)).report
