"""Lineage."""

from studio9_baile.models.records import Lineage
from studio9_baile.repositories.base import Repository


class LineageEdges(Repository[Lineage]):
    """What was made from what."""

    row = Lineage
