"""The audit log, for administrators."""

from studio9_baile.core import Caller, Core
from studio9_baile.models.records import AuditEntry
from studio9_baile.repositories.base import Slice
from studio9_baile.usecases.users import require_admin


async def list_entries(core: Core, caller: Caller, wanted: Slice) -> list[AuditEntry]:
    """Who did what in the organisation, newest first. Raises NotAdmin."""
    require_admin(caller)
    async with core.database.read(caller.organisation) as work:
        return await work.audited.recent(wanted)
