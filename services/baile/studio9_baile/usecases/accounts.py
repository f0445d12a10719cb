"""What people do about their own account before they are signed in: sign up, confirm their address, get in again."""

from datetime import timedelta
from urllib.parse import urlencode

from studio9_baile.core import Core
from studio9_baile.models.identity import Role, User, UserStatus
from studio9_baile.security.names import unstorable
from studio9_baile.security.passwords import KEPT, check_rules
from studio9_baile.security.tokens import one_time_token, token_hash
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.users import NewUser, put_password, taken
from studio9_common.errors import BadInput, Forbidden

CONFIRM, RESET = "confirm_email", "reset_password"
BETWEEN = timedelta(minutes=5)
"""How long a further mail of a kind has to wait."""


class NoSignUp(Forbidden):
    """Nobody can sign up here; ask an administrator for an account."""

    code = "no_sign_up"


class BadCode(BadInput):
    """This code is unknown, used or expired; have a new one mailed to you."""

    code = "bad_code"


async def sign_up(core: Core, new: NewUser) -> User:
    """A new user of the organisation that the operator has named for it. Until the address is confirmed, where that is
    asked for, they cannot sign in. Raises NoSignUp, BadInput."""
    settings = core.settings
    if not settings.sign_up_organisation or (settings.confirm_email and not core.mailer.set_up):
        raise NoSignUp
    new.check()
    password_hash = await core.passwords.hash(new.password)
    async with core.database.system() as system:
        organisation = await system.organisation(settings.sign_up_organisation)
        if organisation is None:
            raise NoSignUp
        for name in (new.username, new.email):
            if await system.user_named(name) is not None:
                raise taken(name, new)
    async with core.database.write(organisation.id) as work:
        status = UserStatus.INACTIVE if settings.confirm_email else UserStatus.ACTIVE
        user = new.row(work.organisation, password_hash, Role.editor, work.now, status)
        work.users.add(user)
        await work.flush()
        work.audit(user.id, "signed_up", "USER", user.id)
        changed(work, Kind.USER, user.id, "created")
        if user.status is UserStatus.ACTIVE:
            # What was shared with an address is for whoever has proved that it is theirs.
            return user
    query = {"orgId": user.organisation, "userId": user.id}
    await _mail_code(core, user, CONFIRM, "Confirm your e-mail address", "/emailconfirmation", query, "activationCode")
    return user


async def confirm_email(core: Core, organisation: str, user: str, code: str) -> None:
    """The address is theirs: they may sign in, and get what was shared with it. Raises BadCode."""
    if not organisation or any(unstorable(one) for one in (organisation, user, code)):
        raise BadCode(field="activationCode")
    async with core.database.write(organisation) as work:
        row = await work.mailed_codes.open(user, CONFIRM, token_hash(code), work.now)
        found = await work.users.find(user, lock=True)
        if row is None or found is None:
            raise BadCode(field="activationCode")
        row.used_at = work.now
        if found.status is UserStatus.INACTIVE:
            found.status, found.updated_at = UserStatus.ACTIVE, work.now
        await work.shares.claim(found.email, found.id)
        work.audit(found.id, "confirmed_email", "USER", found.id)
        changed(work, Kind.USER, found.id, "updated")


async def ask_reset(core: Core, email: str) -> None:
    """Mails a code to set a new password, if there is such a user; nothing says whether there is."""
    user = await _active(core, email)
    if user is not None:
        query = {"email": user.email}
        await _mail_code(core, user, RESET, "Set a new password", "/signin/password/complete", query, "secretCode")


async def reset_password(core: Core, email: str, code: str, password: str) -> None:
    """Sets a new password with the code from the mail; all sign-ins end. Raises BadCode, BadInput."""
    user = await _active(core, email)
    if user is None or unstorable(code):
        raise BadCode(field="secretCode")
    check_rules(password, "newPassword")
    async with core.database.read(user.organisation) as work:
        past = await work.past_passwords.of(user.id, KEPT)
    hashed = await core.passwords.hash(password)
    used = await core.passwords.used_before([user.password_hash, *past], password)
    async with core.database.write(user.organisation) as work:
        row = await work.mailed_codes.open(user.id, RESET, token_hash(code), work.now)
        if row is None:
            raise BadCode(field="secretCode")
        if used:
            raise BadInput("Password was used before", field="newPassword", fix=f"use none of the last {KEPT}")
        row.used_at = work.now
        await put_password(work, await work.users.get(user.id, lock=True), hashed)
        work.audit(user.id, "reset_password", "USER", user.id)


async def remind_username(core: Core, email: str) -> None:
    """Mails the user name, if there is such a user; nothing says whether there is."""
    user = await _active(core, email)
    if user is not None:
        core.mailer.send(user.email, "Your user name", f"Your user name is {user.username}.\n")


async def _active(core: Core, email: str) -> User | None:
    if unstorable(email):
        return None
    async with core.database.system(writing=False) as system:
        user = await system.user_named(email.strip())
    return user if user is not None and user.status is UserStatus.ACTIVE else None


async def _mail_code(
    core: Core, user: User, purpose: str, subject: str, page: str, query: dict[str, str], parameter: str
) -> None:
    """The link is to the address that the operator has set, never to one that a request names."""
    code, hashed = one_time_token()
    async with core.database.write(user.organisation) as work:
        if await work.mailed_codes.sent_since(user.id, purpose, work.now - BETWEEN):
            return
        work.mailed_codes.make(
            user=user.id,
            purpose=purpose,
            code_hash=hashed,
            expires_at=work.now + timedelta(seconds=core.settings.code_lifetime_s),
        )
    link = f"{core.settings.public_url.rstrip('/')}{page}?{urlencode({**query, parameter: code})}"
    core.mailer.send(user.email, subject, f"{subject} here:\n\n{link}\n\nIf you did not ask for this, do nothing.\n")
