"""Lineage, the audit log, and named requests."""

from studio9_baile.models.records import AuditEntry, IdempotencyKey, Lineage
from studio9_baile.repositories.base import Repository


class LineageEdges(Repository[Lineage]):
    """What was made from what."""

    row = Lineage

    async def parents(self, child: str) -> list[Lineage]:
        """What an asset was made from."""
        return await self.all(Lineage.child == child)

    async def children(self, parent: str) -> list[Lineage]:
        """What was made from an asset."""
        return await self.all(Lineage.parent == parent)


class AuditEntries(Repository[AuditEntry]):
    """Who did what."""

    row = AuditEntry


class IdempotencyKeys(Repository[IdempotencyKey]):
    """Requests that their callers have named."""

    row = IdempotencyKey

    async def of(self, user: str, key: str, *, lock: bool = False) -> IdempotencyKey | None:
        """The request that a user has given this name."""
        statement = self.select(IdempotencyKey.user == user, IdempotencyKey.key == key)
        return await self._session.scalar(statement.with_for_update() if lock else statement)
