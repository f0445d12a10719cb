"""Processes: the jobs of a user's assets, as they can be followed and cancelled."""

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import Process
from studio9_baile.repositories.jobs import LIVE
from studio9_baile.usecases.access import AccessDenied
from studio9_baile.usecases.asking import ask_cancel
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.listing import repository_of
from studio9_common.errors import BadInput, Forbidden, NotFound


async def get_process(core: Core, caller: Caller, identifier: str) -> Process:
    """One of the caller's processes."""
    async with core.database.read(caller.organisation) as work:
        process = await work.processes.get(identifier)
    if process.owner != caller.user:
        raise AccessDenied
    return process


async def newest_of(core: Core, caller: Caller, kind: Kind, asset: str) -> Process:
    """The newest process of an asset. Raises NotFound where it never had one."""
    async with core.database.read(caller.organisation) as work:
        row = await repository_of(work, kind).find(asset)
        if row is None:
            raise BadInput("Process target asset was not found", field="id", fix="choose one of your assets")
        if row.owner != caller.user:
            raise Forbidden("Access to target asset denied")
        process = await work.processes.newest(kind, asset)
    if process is None:
        raise NotFound("Process was not found")
    return process


async def cancel(core: Core, caller: Caller, identifier: str) -> None:
    """Asks for a process's end; its status changes when Orion has ended it. Raises NotFound for one that has ended."""
    async with core.database.write(caller.organisation) as work:
        process = await work.processes.get(identifier, lock=True)
        if process.owner != caller.user:
            raise AccessDenied
        if process.status not in LIVE or process.ended is not None:
            raise NotFound("Process is not running")
        ask_cancel(work, process, caller.user)
        work.audit(caller.user, "cancelled", process.target, process.target_id, {"process": process.id})
