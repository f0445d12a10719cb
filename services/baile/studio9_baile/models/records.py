"""Records about everything else: lineage, audit, the buckets that can be chosen, the last known catalogue."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Base, Scoped


class Lineage(Scoped):
    """An asset (`child`) was made from another (`parent`), by a job if one made it. Kinds are AssetTypes, and
    MODEL_VERSION and DATASET_VERSION. Edges are kept when an asset is deleted."""

    __tablename__ = "lineage"
    __table_args__ = (
        UniqueConstraint("child_kind", "child", "parent_kind", "parent", "role"),
        Index("ix_lineage_parent", "parent_kind", "parent"),
    )

    child_kind: Mapped[str]
    child: Mapped[str]
    parent_kind: Mapped[str]
    parent: Mapped[str]
    role: Mapped[str]
    job: Mapped[str | None]


class AuditEntry(Scoped):
    """Who did what to which asset."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_time", "organisation", "created_at"),)

    user: Mapped[str]
    action: Mapped[str]
    kind: Mapped[str]
    asset: Mapped[str]
    detail: Mapped[dict[str, Any] | None]


class IdempotencyKey(Scoped):
    """A request that its caller has named, and its answer: sent again it is answered again, not carried out again.
    Without a status it is being carried out (or was when its instance died; `created_at` tells)."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("organisation", "user", "key"),)

    user: Mapped[str]
    key: Mapped[str]
    request_hash: Mapped[str]
    status: Mapped[int | None]
    content_type: Mapped[str | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)


class BucketRow(Base):
    """A place that online jobs can watch. The settings say which there are; one that is no longer among them stays as
    long as a deployment names it, but cannot be chosen."""

    __tablename__ = "buckets"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    region: Mapped[str]
    offered: Mapped[bool]


class KnownCatalogue(Base):
    """The last catalogue that the workers announced, so that forms work while no worker is up."""

    __tablename__ = "catalogue"

    id: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[dict[str, Any]]
    read_at: Mapped[datetime]
