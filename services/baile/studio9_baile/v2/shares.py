"""Shares."""

from typing import Annotated

from fastapi import Query

from studio9_baile.usecases import sharing
from studio9_baile.v2.dependencies import TheCaller, TheCore
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.library import NewShareBody, PersonAnswer, ShareAnswer

routes = router()


@routes.get("/me/shares")
async def received(core: TheCore, caller: TheCaller) -> Listed[ShareAnswer]:
    found = await sharing.received(core, caller)
    return Listed(data=[ShareAnswer.of(share) for share in found], count=len(found))


@routes.get("/shares")
async def list_shares(
    core: TheCore,
    caller: TheCaller,
    asset_id: Annotated[str | None, Query(max_length=100)] = None,
    asset_type: Annotated[str | None, Query(max_length=100)] = None,
) -> Listed[ShareAnswer]:
    found = await sharing.list_shares(core, caller, asset_id or None, asset_type or None)
    return Listed(data=[ShareAnswer.of(share) for share in found], count=len(found))


@routes.post("/shares")
async def create(body: NewShareBody, core: TheCore, caller: TheCaller) -> ShareAnswer:
    made = await sharing.create_share(
        core,
        caller,
        body.assetType,
        body.assetId,
        recipient=body.recipientId,
        email=body.recipientEmail,
        name=body.name,
    )
    return ShareAnswer.of(made)


@routes.get("/shares/{share_id}")
async def get(share_id: str, core: TheCore, caller: TheCaller) -> ShareAnswer:
    return ShareAnswer.of(await sharing.get_share(core, caller, share_id))


@routes.delete("/shares/{share_id}")
async def delete(share_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await sharing.delete_share(core, caller, share_id)
    return Removed(id=share_id)


@routes.get("/shares/{share_id}/owner")
async def owner(share_id: str, core: TheCore, caller: TheCaller) -> PersonAnswer:
    return PersonAnswer.of(await sharing.giver(core, caller, share_id))


@routes.get("/shares/{share_id}/recipient")
async def recipient(share_id: str, core: TheCore, caller: TheCaller) -> PersonAnswer:
    return PersonAnswer.of(await sharing.recipient(core, caller, share_id))
