"""Credentials of users' own buckets: given once, kept encrypted in Argo for workers alone, and named by reference.

No answer, message, job, log or row ever holds what they are; a worker asks for one with a token that is bound to the
attempt it runs, of a job that names the credential. What is deleted opens nothing any more, whoever still names it.
"""

import contextlib
from collections.abc import Sequence

from studio9_baile.core import Caller, Core
from studio9_baile.models.credentials import Credential
from studio9_baile.repositories.base import Slice
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import asset_name
from studio9_baile.usecases.access import AccessDenied
from studio9_baile.usecases.changes import Kind, changed
from studio9_common.errors import BadInput, Conflict, NotFound, Studio9Error

NAMED = "credential of "
"""What the names of their secrets begin with."""
AUDIENCES = ("worker",)
MOST = 50
"""Credentials of one user."""
LONGEST = {"access_key": 1_000, "secret_key": 1_000, "session_token": 10_000}
"""Characters."""


async def add_credential(
    core: Core, caller: Caller, name: str, access_key: str, secret_key: str, session_token: str | None
) -> Credential:
    """Keeps what opens a bucket. Raises BadInput, Conflict for too many, Unavailable; then nothing is kept."""
    wanted = asset_name(name, "Credential")
    given = {"access_key": access_key, "secret_key": secret_key, "session_token": session_token}
    for field, value in given.items():
        if value is not None and not (0 < len(value) <= LONGEST[field] and value.isascii() and value.isprintable()):
            raise BadInput("The keys cannot be used", field=field, fix="copy them as they are, in ASCII without blanks")
    async with core.database.read(caller.organisation) as work:
        await _check_room(work, caller)
    secret = {"access_key": access_key, "secret_key": secret_key, "token": session_token}
    info = await core.argo.add_secret(
        f"{NAMED}{caller.user}", secret, audiences=AUDIENCES, organisation=caller.organisation
    )
    try:
        async with core.database.write(caller.organisation) as work:
            await _check_room(work, caller)
            made = work.credentials.make(id=info.id, owner=caller.user, name=wanted)
            changed(work, Kind.CREDENTIAL, made.id, "created", by=caller, to=(caller.user,))
    except BaseException:
        with contextlib.suppress(Studio9Error):  # else the sweep does; what went wrong first is to be told
            await forget(core, caller.organisation, info.id)
        raise
    return made


async def list_credentials(core: Core, caller: Caller, wanted: Slice) -> Sequence[Credential]:
    """The caller's credentials, newest first."""
    async with core.database.read(caller.organisation) as work:
        return await work.credentials.recent(wanted, work.credentials.row.owner == caller.user)


async def get_credential(core: Core, caller: Caller, identifier: str) -> Credential:
    """One of the caller's. Raises NotFound, AccessDenied."""
    async with core.database.read(caller.organisation) as work:
        return _owned(caller, await work.credentials.get(identifier))


async def delete_credential(core: Core, caller: Caller, identifier: str) -> None:
    """Forgets what opened a bucket: a job that needs it and has not begun fails, and says so. Raises NotFound,
    AccessDenied, Unavailable."""
    async with core.database.write(caller.organisation) as work:
        # Nothing is written, but whoever knows another revision is told so before anything is gone.
        _owned(caller, await work.credentials.get(identifier, lock=True))
    # First what opens something: a row without its secret is harmless, and can be deleted again.
    await forget(core, caller.organisation, identifier)
    async with core.database.write(caller.organisation) as work:
        row = _owned(caller, await work.credentials.get(identifier, lock=True))
        await work.credentials.remove(row)
        changed(work, Kind.CREDENTIAL, row.id, "deleted", by=caller, to=(caller.user,))


async def forget(core: Core, organisation: str, reference: str) -> None:
    """The secret is gone. Raises Unavailable."""
    try:
        await core.argo.delete_secret(reference, organisation=organisation)
    except NotFound:
        return


async def check_usable(work: Work, caller: Caller, identifier: str, field: str) -> None:
    """Raises BadInput, which names the field, unless it is a credential of the caller's."""
    row = await work.credentials.find(identifier)
    if row is None or row.owner != caller.user:
        raise BadInput(
            "Credential not found", field=field, value=identifier[:100], fix="store one: POST /v1/credentials"
        )


async def _check_room(work: Work, caller: Caller) -> None:
    if await work.credentials.count(work.credentials.row.owner == caller.user) >= MOST:
        raise Conflict("You have too many credentials", field="name", fix="delete one that is not needed any more")


def _owned(caller: Caller, row: Credential) -> Credential:
    if row.owner != caller.user:
        raise AccessDenied
    return row
