"""Who may read and who may change an asset. Another organisation's assets are not found at all."""

from studio9_baile.core import Caller
from studio9_baile.models.base import Asset
from studio9_baile.models.jobs import Process
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.nesting import opens
from studio9_common.errors import Forbidden


class AccessDenied(Forbidden):
    """Access denied"""

    code = "access_denied"


def check_owner(caller: Caller, asset: Asset) -> None:
    """Raises AccessDenied unless the caller owns the asset."""
    if asset.owner != caller.user:
        raise AccessDenied


async def check_read(work: Work, caller: Caller, kind: str, asset: Asset, share: str | None = None) -> None:
    """Raises AccessDenied unless the caller owns the asset or gives a share, one that is theirs, that opens it. A share
    opens what belongs to its giver alone."""
    if asset.owner == caller.user:
        return
    found = await work.shares.find(share) if share else None
    if found is None or found.recipient != caller.user or found.owner != asset.owner:
        raise AccessDenied
    if not await opens(work, found, kind, asset.id):
        raise AccessDenied


async def may_see_job(work: Work, caller: Caller, process: Process) -> bool:
    """Whether a job is shown: to its owner, to administrators, to those with whom its asset is shared, and a stream's
    to all, as everybody in the organisation manages online jobs."""
    if caller.admin or process.owner == caller.user or process.target == Kind.ONLINE_JOB:
        return True
    return await work.shares.given(process.target, process.target_id, caller.user)
