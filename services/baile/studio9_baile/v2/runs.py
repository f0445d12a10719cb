"""What the routes of experiments and predictions have in common: lists, single ones, new names, deletion."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter

from studio9_baile.core import Caller, Core
from studio9_baile.usecases import assets
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.listing import list_assets
from studio9_baile.v2.albums import Shared
from studio9_baile.v2.dependencies import TheCaller, TheCore, ThePage, TheShelf
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.models import RenameBody

Delete = Callable[[Core, Caller, str], Awaitable[None]]


def add_run_routes(
    routes: APIRouter,
    segment: str,
    kind: Kind,
    *,
    answer: type[Any],
    item: type[Any],
    listed: type[Listed[Any]],
    delete: Delete,
    updates: bool = True,
) -> None:
    """Adds GET of the list, and GET, PUT (if it `updates` names alone) and DELETE of one, below `/segment`. `answer`
    and `item` (of the list, `listed`) are answers whose `of` takes the asset."""

    async def list_runs(core: TheCore, caller: TheCaller, page: ThePage, shelf: TheShelf) -> Any:
        found, count = await list_assets(core, caller, kind, shelf, page)
        return listed(data=[item.of(one) for one in found], count=count)

    async def get(run_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> Any:
        return answer.of(await assets.get_asset(core, caller, kind, run_id, share))

    async def update(run_id: str, body: RenameBody, core: TheCore, caller: TheCaller) -> Any:
        return answer.of(await assets.rename_asset(core, caller, kind, run_id, body.name, body.description))

    async def remove(run_id: str, core: TheCore, caller: TheCaller) -> Removed:
        await delete(core, caller, run_id)
        return Removed(id=run_id)

    one = f"/{segment}/{{run_id}}"
    routes.add_api_route(f"/{segment}", list_runs, methods=["GET"], response_model=listed, name=f"list {segment}")
    routes.add_api_route(one, get, methods=["GET"], response_model=answer, name=f"get one of {segment}")
    if updates:
        routes.add_api_route(one, update, methods=["PUT"], response_model=answer, name=f"update one of {segment}")
    routes.add_api_route(one, remove, methods=["DELETE"], response_model=Removed, name=f"delete one of {segment}")
