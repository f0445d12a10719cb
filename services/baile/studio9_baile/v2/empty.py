"""Sections of the UI that come later: their lists are empty, their items are not there."""

from typing import Any

from studio9_baile.v2.dependencies import TheCaller, ThePage
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed

routes = router()

SECTIONS = (
    "tables", "models", "predictions", "pipelines", "pipeline-operators", "packages", "flows", "replays", "dashboards",
    "optimizations", "diaas", "script-deployments", "s9-projects", "dc-projects",
)  # fmt: skip


async def nothing(_caller: TheCaller, _page: ThePage) -> Listed[Any]:
    """An empty list."""
    return Listed(data=[], count=0)


for section in SECTIONS:
    routes.add_api_route(f"/{section}", nothing, methods=["GET"], name=f"list {section}")


@routes.get("/config/operator-categories")
async def operator_categories(_caller: TheCaller) -> list[Any]:
    """Pipelines come later."""
    return []
