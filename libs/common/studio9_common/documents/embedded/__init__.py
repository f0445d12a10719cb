"""Documents in one SQLite file: durable without a server, for one machine."""

from studio9_common.documents.embedded.adapter import SqliteDocuments

__all__ = ["SqliteDocuments"]
