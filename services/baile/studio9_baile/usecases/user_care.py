"""An administrator changes and deletes users; what a deleted user owned goes to another."""

import contextlib
from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.identity import Role, User
from studio9_baile.repositories.base import AssetRepository
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.credentials import forget
from studio9_baile.usecases.datasets import drop_version
from studio9_baile.usecases.deployments import update_deployment
from studio9_baile.usecases.users import NewUser, check_rank, put_password, require_admin, taken
from studio9_common.errors import BadInput, Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChange:
    """What is to be changed of a user; None stays."""

    username: str | None = None
    email: str | None = None
    password: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    role: Role | None = None


async def update_user(core: Core, caller: Caller, identifier: str, change: UserChange) -> User:
    """Changes a user; administrators only. A new password ends all their sign-ins. Raises NotAdmin, NotAllowed,
    BadInput, NotFound."""
    require_admin(caller)
    if change.role is not None and identifier == caller.user:
        async with core.database.read(caller.organisation) as work:
            mine = await work.users.get(identifier)
        if mine.role is not change.role and not {mine.role, change.role} <= {Role.owner, Role.admin}:
            raise BadInput("You can not change your own role", field="role", fix="ask another administrator")
    hashed = None if change.password is None else await core.passwords.hash(change.password)
    async with core.database.read(caller.organisation) as work:
        before = await work.users.get(identifier)
    wanted = NewUser(
        username=before.username if change.username is None else change.username,
        email=before.email if change.email is None else change.email,
        password="Not-looked-at-1" if change.password is None else change.password,
        first_name=before.first_name if change.first_name is None else change.first_name,
        last_name=before.last_name if change.last_name is None else change.last_name,
    )
    wanted.check()
    async with core.database.system() as system:
        for name in (wanted.username, wanted.email):
            found = await system.user_named(name)
            if found is not None and found.id != identifier:
                raise taken(name, wanted)
    async with core.database.write(caller.organisation) as work:
        user = await work.users.get(identifier, lock=True)
        check_rank(caller, user.role)
        for column, given in (
            ("username", change.username and change.username.lower()),
            ("email", change.email and change.email.lower()),
            ("first_name", change.first_name),
            ("last_name", change.last_name),
        ):
            if given is not None:
                setattr(user, column, given)
        # To Salsa an owner is an administrator: saying so again takes nothing away.
        if change.role is not None and not (change.role is Role.admin and user.role is Role.owner):
            check_rank(caller, change.role)
            await _check_last_owner(work, user, change.role)
            user.role = change.role
        if hashed is not None:
            await put_password(work, user, hashed)
        user.updated_at = work.now
        work.audit(caller.user, "update", "USER", user.id)
        changed(work, Kind.USER, user.id, "updated")
    return user


async def delete_user(core: Core, caller: Caller, identifier: str, heir: str | None) -> None:
    """Deletes a user; administrators only. All their assets go to `heir`, under a free name where one is taken;
    keys of their buckets to nobody.
    Raises NotAdmin, NotAllowed, BadInput (they own assets and there is no heir), NotFound."""
    require_admin(caller)
    if identifier == caller.user:
        raise BadInput("You can not delete yourself", field="userId", fix="ask another administrator")
    if heir == identifier:
        raise BadInput("A user cannot be their own heir", field="transferOwnershipTo", fix="name another user")
    async with core.database.write(caller.organisation) as work:
        user = await work.users.get(identifier, lock=True)
        check_rank(caller, user.role)
        await _check_last_owner(work, user, None)
        if heir is not None and await work.users.find(heir) is None:
            raise BadInput(
                "User to transfer ownership to was not found", field="transferOwnershipTo", value=heir[:100],
                fix="name a user of your organisation",
            )  # fmt: skip
        credentials = [one.id for one in await work.credentials.of(user.id)]
        deployments = await work.deployments.all(work.deployments.row.owner == user.id)
        for repository in _kinds(work):
            if heir is not None:
                await _transfer(work, repository, user.id, heir)
            elif await repository.exists(repository.row.owner == user.id):
                raise BadInput(
                    "User has assets",
                    field="transferOwnershipTo",
                    fix="name a user who gets them, or delete them first",
                )
        await work.processes.hand_over(user.id, heir)
        await work.shares.hand_over(user.id, heir)
        await work.code.hand_over(user.id, heir)
        await _versions(work, user.id, heir)
        await work.flush()
        await work.users.remove(user)
        work.audit(caller.user, "delete", "USER", user.id, {"heir": heir} if heir else None)
        changed(work, Kind.USER, user.id, "deleted")
    for deployment in deployments:
        # The predictor is told who answers for its stream now.
        await update_deployment(core, caller, deployment.id, name=None, description=None, enabled=None)
    with contextlib.suppress(Unavailable):  # the user is gone all the same; what is left is forgotten within two hours
        for reference in credentials:
            await forget(core, caller.organisation, reference)


def _kinds(work: Work) -> tuple[AssetRepository[Any], ...]:
    return (
        work.albums, work.models, work.experiments, work.predictions, work.deployments, work.online_apis,
        work.file_sets, work.projects,
    )  # fmt: skip


async def _transfer(work: Work, repository: AssetRepository[Any], user: str, heir: str) -> None:
    for asset in await repository.all(repository.row.owner == user):
        if await repository.name_taken(heir, asset.name):
            asset.name = await repository.free_name(heir, asset.name)
        asset.owner = heir
        await work.flush()


async def _versions(work: Work, user: str, heir: str | None) -> None:
    """A user's dataset versions go to another; without one there is nothing that needs them."""
    if heir is not None:
        await work.dataset_versions.hand_over(user, heir)
        return
    for version in await work.dataset_versions.all(work.dataset_versions.row.author == user):
        await drop_version(work, version)


async def _check_last_owner(work: Work, user: User, role: Role | None) -> None:
    if user.role is Role.owner and role is not Role.owner and await work.users.owners(lock=True) == [user.id]:
        raise BadInput("This is the last owner", field="userId", fix="make another owner first")
