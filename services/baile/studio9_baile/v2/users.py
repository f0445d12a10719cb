"""An administrator's view of the organisation's users."""

from typing import Annotated

from fastapi import Query

from studio9_baile.models.identity import UserStatus
from studio9_baile.usecases import user_care, users
from studio9_baile.usecases.user_care import UserChange
from studio9_baile.v2.dependencies import TheCaller, TheCore, ThePage
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.users import NewUserBody, UserAnswer, UserBody

routes = router()


@routes.get("/users")
async def list_users(
    core: TheCore,
    caller: TheCaller,
    page: ThePage,
    firstName: Annotated[str | None, Query(max_length=200)] = None,
    lastName: Annotated[str | None, Query(max_length=200)] = None,
) -> Listed[UserAnswer]:
    found, count = await users.list_users(core, caller, page, firstName, lastName)
    return Listed(data=[UserAnswer.of(user) for user in found], count=count)


@routes.post("/users")
async def create_user(body: NewUserBody, core: TheCore, caller: TheCaller) -> UserAnswer:
    return UserAnswer.of(await users.create_user(core, caller, body.new(), body.role.role))


@routes.get("/users/{user_id}")
async def get_user(user_id: str, core: TheCore, caller: TheCaller) -> UserAnswer:
    return UserAnswer.of(await users.get_user(core, caller, user_id))


@routes.put("/users/{user_id}")
async def update_user(user_id: str, body: UserBody, core: TheCore, caller: TheCaller) -> UserAnswer:
    change = UserChange(
        username=body.username,
        email=body.email,
        password=body.password,
        first_name=body.firstName,
        last_name=body.lastName,
        role=None if body.role is None else body.role.role,
    )
    return UserAnswer.of(await user_care.update_user(core, caller, user_id, change))


@routes.delete("/users/{user_id}")
async def delete_user(
    user_id: str,
    core: TheCore,
    caller: TheCaller,
    heir: Annotated[str | None, Query(alias="transferOwnershipTo", max_length=100)] = None,
) -> Removed:
    await user_care.delete_user(core, caller, user_id, heir or None)
    return Removed(id=user_id)


@routes.post("/users/{user_id}/activate")
async def activate(user_id: str, core: TheCore, caller: TheCaller) -> UserAnswer:
    return UserAnswer.of(await users.set_status(core, caller, user_id, UserStatus.ACTIVE))


@routes.post("/users/{user_id}/deactivate")
async def deactivate(user_id: str, core: TheCore, caller: TheCaller) -> UserAnswer:
    return UserAnswer.of(await users.set_status(core, caller, user_id, UserStatus.DEACTIVATED))
