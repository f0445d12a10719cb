"""Lineage and the audit log."""

from studio9_baile.models.records import AuditEntry, Lineage
from studio9_baile.repositories.base import Repository


class LineageEdges(Repository[Lineage]):
    """What was made from what."""

    row = Lineage


class Audit(Repository[AuditEntry]):
    """Who did what."""

    row = AuditEntry
