"""Users: the first one by a one-time token, the others by an administrator."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from studio9_baile.core import Caller, Core
from studio9_baile.models.identity import (
    BootstrapToken,
    Organisation,
    PastPassword,
    Role,
    User,
    UserStatus,
)
from studio9_baile.repositories.paging import Page
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import unstorable
from studio9_baile.security.passwords import KEPT, check_rules
from studio9_baile.security.permissions import RANKS, NotAllowed
from studio9_baile.security.tokens import one_time_token, token_hash
from studio9_baile.usecases.changes import Kind, changed
from studio9_common.errors import BadInput, Conflict, Unauthenticated
from studio9_common.ids import new_id

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def is_email(text: str) -> bool:
    """Whether a text can be an address."""
    return len(text) <= 254 and not unstorable(text) and _EMAIL.fullmatch(text) is not None


_USERNAME = re.compile(r"[\w.@+-]{1,150}")


class BadBootstrapToken(BadInput):
    """This one-time token is unknown, used or expired; have a new one made with `./studio9 admin bootstrap-token`."""

    code = "bad_bootstrap_token"


class NotAdmin(Unauthenticated):
    """User is not authorized"""

    code = "not_admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to be made. User name and e-mail are kept in lower case."""

    username: str
    email: str
    password: str
    first_name: str
    last_name: str

    def check(self) -> None:
        """Raises BadInput, naming the field."""
        if not _USERNAME.fullmatch(self.username):
            raise BadInput(
                "Username is invalid", field="username", fix="use 1 to 150 letters, digits and the characters . @ + - _"
            )
        if not is_email(self.email):
            raise BadInput("Email is invalid", field="email", fix="write name@host")
        for field, value in (("firstName", self.first_name), ("lastName", self.last_name)):
            if len(value) > 150 or unstorable(value):
                raise BadInput("Name cannot be used", field=field, fix="use at most 150 characters, none of them NUL")
        check_rules(self.password)

    def row(
        self,
        organisation: str,
        password_hash: str,
        role: Role,
        now: datetime,
        status: UserStatus = UserStatus.ACTIVE,
    ) -> User:
        """The user as stored."""
        return User(
            id=new_id(),
            organisation=organisation,
            created_at=now,
            updated_at=now,
            username=self.username.lower(),
            email=self.email.lower(),
            password_hash=password_hash,
            first_name=self.first_name,
            last_name=self.last_name,
            role=role,
            status=status,
        )


async def create_bootstrap_token(core: Core) -> str:
    """A one-time token that makes an organisation with its first user; only its hash is kept."""
    token, hashed = one_time_token()
    async with core.database.system() as work:
        expires = work.now + timedelta(seconds=core.settings.bootstrap_lifetime_s)
        work.add(BootstrapToken(token_hash=hashed, created_at=work.now, expires_at=expires))
    return token


async def bootstrap(core: Core, token: str, organisation: str, new: NewUser) -> User:
    """Makes the organisation and its first user, an administrator, and uses up the token, all or nothing."""
    if not 1 <= len(organisation.strip()) <= 100 or not organisation.strip().isprintable():
        raise BadInput(
            "Organisation name is invalid", field="organisation", fix="use 1 to 100 characters, none of them invisible"
        )
    if unstorable(token):
        raise BadBootstrapToken(field="token")
    new.check()
    password_hash = await core.passwords.hash(new.password)
    async with core.database.system() as work:
        row = await work.bootstrap_token(token_hash(token))
        if row is None or row.used_at is not None or row.expires_at <= work.now:
            raise BadBootstrapToken(field="token")
        if await work.organisation(organisation.strip()) is not None:
            raise Conflict("Organisation already exists", field="organisation", fix="choose another name")
        for name in (new.username, new.email):
            if await work.user_named(name) is not None:
                raise taken(name, new)
        row.used_at = work.now
        made = Organisation(id=new_id(), name=organisation.strip(), next_event=1, created_at=work.now)
        work.add(made)
        await work.flush()
        user = new.row(made.id, password_hash, Role.owner, work.now)
        work.add(user)
    return user


def require_admin(caller: Caller) -> None:
    """Raises NotAdmin."""
    if not caller.admin:
        raise NotAdmin


def check_rank(caller: Caller, role: Role) -> None:
    """Raises NotAllowed for a role above the caller's own: it can neither be given nor taken by them."""
    if RANKS[role] > RANKS[caller.role]:
        raise NotAllowed(field="role", value=role.value, fix="ask somebody with that role")


async def set_role(core: Core, caller: Caller, identifier: str, role: Role) -> User:
    """Gives a user another role; administrators only. An organisation keeps at least one owner. Raises NotAdmin,
    NotAllowed, BadInput, NotFound."""
    require_admin(caller)
    async with core.database.write(caller.organisation) as work:
        user = await work.users.get(identifier, lock=True)
        check_rank(caller, user.role)
        check_rank(caller, role)
        if user.role is Role.owner and role is not Role.owner and await work.users.owners(lock=True) == [user.id]:
            raise BadInput("This is the last owner", field="role", value=role.value, fix="make another owner first")
        before, user.role, user.updated_at = user.role, role, work.now
        work.audit(caller.user, "set_role", "USER", user.id, {"from": before.value, "to": role.value})
        changed(work, Kind.USER, user.id, "updated")
    return user


async def list_users(
    core: Core, caller: Caller, page: Page, first_name: str | None, last_name: str | None
) -> tuple[list[User], int]:
    """The organisation's users; administrators only."""
    require_admin(caller)
    async with core.database.read(caller.organisation) as work:
        return await work.users.page(page, first_name, last_name)


async def get_user(core: Core, caller: Caller, identifier: str) -> User:
    """One user of the organisation; administrators only."""
    require_admin(caller)
    async with core.database.read(caller.organisation) as work:
        return await work.users.get(identifier)


async def create_user(core: Core, caller: Caller, new: NewUser, role: Role) -> User:
    """A further user of the organisation; administrators only."""
    require_admin(caller)
    check_rank(caller, role)
    new.check()
    password_hash = await core.passwords.hash(new.password)
    async with core.database.system() as system:
        for name in (new.username, new.email):
            if await system.user_named(name) is not None:
                raise taken(name, new)
    async with core.database.write(caller.organisation) as work:
        user = new.row(caller.organisation, password_hash, role, work.now)
        work.users.add(user)
        await work.flush()
        await work.shares.claim(user.email, user.id)
        work.audit(caller.user, "create", "USER", user.id)
        changed(work, Kind.USER, user.id, "created")
    return user


async def set_status(core: Core, caller: Caller, identifier: str, status: UserStatus) -> User:
    """Lets a user in again, or keeps them out at once: all their sign-ins end. Administrators only."""
    require_admin(caller)
    if identifier == caller.user:
        raise BadInput("You can not deactivate yourself", field="userId", fix="ask another administrator")
    async with core.database.write(caller.organisation) as work:
        user = await work.users.get(identifier, lock=True)
        check_rank(caller, user.role)
        user.status, user.updated_at = status, work.now
        if status is not UserStatus.ACTIVE:
            await work.sign_ins.revoke(work.now, user=user.id)
        work.audit(caller.user, status.value.lower(), "USER", user.id)
        changed(work, Kind.USER, user.id, "updated")
    return user


async def change_password(core: Core, caller: Caller, old: str, new: str) -> None:
    """The caller's own password. All other sign-ins of theirs end. Raises BadInput, WeakPassword."""
    async with core.database.read(caller.organisation) as work:
        user = await work.users.get(caller.user)
        past = await work.past_passwords.of(user.id, KEPT)
    if not await core.passwords.verify(user.password_hash, old):
        raise BadInput("Invalid old password", field="oldPassword", fix="give the current password")
    check_rules(new, "newPassword")
    if await core.passwords.used_before([user.password_hash, *past], new):
        raise BadInput("Password was used before", field="newPassword", fix=f"use none of the last {KEPT}")
    hashed = await core.passwords.hash(new)
    async with core.database.write(caller.organisation) as work:
        await put_password(work, await work.users.get(caller.user, lock=True), hashed, but=caller.sign_in)
        work.audit(caller.user, "change_password", "USER", caller.user)


async def put_password(work: Work, user: User, hashed: str, *, but: str | None = None) -> None:
    """Gives a user another password, keeps the old one from coming back, and ends their sign-ins (`but` this one)."""
    work.past_passwords.add(
        PastPassword(
            id=new_id(),
            organisation=work.organisation,
            created_at=work.now,
            user=user.id,
            password_hash=user.password_hash,
        )
    )
    await work.flush()
    await work.past_passwords.keep(user.id, KEPT)
    user.password_hash, user.updated_at = hashed, work.now
    await work.sign_ins.revoke(work.now, user=user.id, other_than=but)


def taken(name: str, new: NewUser) -> BadInput:
    """The refusal of a user name or address that somebody has."""
    if name == new.username:
        return BadInput(f"User {name} already exists", field="username", value=name, fix="choose another one")
    return BadInput(f"User with email {name} already registered", field="email", value=name, fix="choose another one")
