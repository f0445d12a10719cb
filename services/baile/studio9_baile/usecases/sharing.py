"""Shares: leave to read an asset and what it depends on, given to a user or to an e-mail address."""

from dataclasses import dataclass

from studio9_baile.core import Caller, Core
from studio9_baile.models.identity import User
from studio9_baile.models.library import Share
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import text
from studio9_baile.usecases.access import AccessDenied, check_owner
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.listing import repository_of
from studio9_baile.usecases.users import is_email
from studio9_common.errors import BadInput, NotFound

SHARED = (
    Kind.ALBUM, Kind.CV_MODEL, Kind.EXPERIMENT, Kind.CV_PREDICTION, Kind.ONLINE_JOB, Kind.DATASET,
)  # fmt: skip
"""Kinds that can be shared."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who gave or got a share. Of an address that no user has, the address is all that is known."""

    id: str
    email: str
    first_name: str = ""
    last_name: str = ""

    @classmethod
    def of(cls, user: User) -> "Person":
        return cls(user.id, user.email, user.first_name, user.last_name)


async def create_share(
    core: Core,
    caller: Caller,
    kind: str,
    asset: str,
    *,
    recipient: str | None = None,
    email: str | None = None,
    name: str | None = None,
) -> Share:
    """Lets somebody read one of the caller's assets, and tells them by mail.
    Raises NotFound, AccessDenied, BadInput."""
    shared = _kind(kind)
    async with core.database.write(caller.organisation) as work:
        row = await repository_of(work, shared).get(asset)
        check_owner(caller, row)
        user, address = await _recipient(work, recipient, email)
        if user is not None and user.id == caller.user:
            raise BadInput("This asset is yours", field="recipientEmail", value=address, fix="name somebody else")
        for known in await work.shares.of_asset(shared.value, asset):
            if (user is not None and known.recipient == user.id) or known.recipient_email == address:
                raise BadInput(
                    "Asset is already shared with this recipient", field="recipientEmail", value=address, fix="done"
                )
        share = work.shares.make(
            owner=caller.user,
            name=text(name, "name", 255) or row.name,
            kind=shared.value,
            asset=asset,
            recipient=None if user is None else user.id,
            recipient_email=address,
        )
        giver = await work.users.get(caller.user)
        work.audit(caller.user, "shared", shared.value, asset, {"share": share.id})
        changed(work, Kind.SHARE, share.id, "created", to=_both(share))
    what = f"{giver.first_name} {giver.last_name}".strip() or giver.username
    hint = "" if user else "\nYou have no account yet; sign up, or ask them, with this address.\n"
    where = f"\n{core.settings.public_url}\n" if core.settings.public_url else ""
    core.mailer.send(address, f"{what} shares {share.name!r} with you", f"You can read it now.\n{hint}{where}")
    return share


def _both(share: Share) -> list[str]:
    """Who hears of a share: who gave it, and who got it, if that is a user."""
    return [user for user in (share.owner, share.recipient) if user is not None]


def _kind(kind: str) -> Kind:
    found = next((one for one in SHARED if one.value == kind), None)
    if found is None:
        raise BadInput(
            "Assets of this type cannot be shared",
            field="assetType",
            value=kind[:50],
            fix=f"use {', '.join(one.value for one in SHARED)}",
        )
    return found


async def _recipient(work: Work, identifier: str | None, email: str | None) -> tuple[User | None, str]:
    """The user, if there is one in the organisation, and the address. Another organisation's user is none."""
    if identifier:
        user = await work.users.find(identifier)
        if user is None:
            raise NotFound("Recipient not found")
        return user, user.email
    address = (email or "").strip().lower()
    if not address:
        raise BadInput("Recipient not specified", field="recipientEmail", fix="give an e-mail address")
    if not is_email(address):
        raise BadInput("Email is invalid", field="recipientEmail", value=address[:100], fix="write name@host")
    return await work.users.with_email(address), address


async def list_shares(core: Core, caller: Caller, asset: str | None = None, kind: str | None = None) -> list[Share]:
    """The shares that the caller gave or got, of one asset if it is named."""
    async with core.database.read(caller.organisation) as work:
        return await work.shares.seen_by(caller.user, asset, kind)


async def received(core: Core, caller: Caller) -> list[Share]:
    """The shares that the caller got."""
    async with core.database.read(caller.organisation) as work:
        return await work.shares.received(caller.user)


async def get_share(core: Core, caller: Caller, identifier: str) -> Share:
    """One share that the caller gave or got."""
    async with core.database.read(caller.organisation) as work:
        return await _seen(work, caller, identifier)


async def delete_share(core: Core, caller: Caller, identifier: str) -> None:
    """Ends a share at once; only who gave it can."""
    async with core.database.write(caller.organisation) as work:
        share = await _seen(work, caller, identifier)
        if share.owner != caller.user:
            raise AccessDenied
        await work.shares.remove(share)
        work.audit(caller.user, "unshared", share.kind, share.asset, {"share": share.id})
        changed(work, Kind.SHARE, share.id, "deleted", to=_both(share))


async def giver(core: Core, caller: Caller, identifier: str) -> Person:
    """Who gave a share."""
    async with core.database.read(caller.organisation) as work:
        return Person.of(await work.users.get((await _seen(work, caller, identifier)).owner))


async def recipient(core: Core, caller: Caller, identifier: str) -> Person:
    """Who got a share."""
    async with core.database.read(caller.organisation) as work:
        share = await _seen(work, caller, identifier)
        user = await work.users.find(share.recipient) if share.recipient else None
        return Person("", share.recipient_email or "") if user is None else Person.of(user)


async def _seen(work: Work, caller: Caller, identifier: str) -> Share:
    share = await work.shares.get(identifier)
    if caller.user not in (share.owner, share.recipient):
        raise NotFound(work.shares.missing)
    return share
