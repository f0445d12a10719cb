"""The tables. Every row belongs to an organisation, but those that the installation itself needs."""

from studio9_baile.models import credentials, identity, jobs, learned, library, notices, pictures, records, runs, stored
from studio9_baile.models.base import Base

__all__ = [
    "Base",
    "credentials",
    "identity",
    "jobs",
    "learned",
    "library",
    "notices",
    "pictures",
    "records",
    "runs",
    "stored",
]
