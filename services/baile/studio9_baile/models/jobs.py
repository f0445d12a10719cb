"""Processes (the jobs that users see), the outbox of messages to the bus, and server-sent events."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Base, Scoped, reference

MERGE = "merge"
IMPORT_PICTURES, IMPORT_VIDEO = "import_pictures", "import_video"
IMPORT_FILES, EXPORT_FILES = "import_files", "export_files"
TRANSFERS = (IMPORT_PICTURES, IMPORT_VIDEO, IMPORT_FILES, EXPORT_FILES)
LOCAL = (MERGE, *TRANSFERS)
"""The kinds of the processes that Baile works off by itself: no job of Orion's stands behind them."""
TILING = "DATASET_TILING"
"""The type of a job that Salsa has no word for: its list of jobs is without it."""
VIDEO_IMPORT = "S3_VIDEO_IMPORT"
"""Salsa's word for bringing in a video, a transfer first and a job then."""


class ProcessStatus(StrEnum):
    """COMPLETED once the job has completed and its result is in the assets."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class ResultState(StrEnum):
    """`pending`: the job has ended, its result is not in the assets yet."""

    none = "none"
    pending = "pending"
    done = "done"


class Process(Scoped):
    """A job as its owner sees it; the id is the job's. `kind` is the task's, `target` an AssetType.

    `seen_at` is Orion's time of the newest event that was applied: an older one that comes late changes nothing.
    `ended` is what the final event said; `cursor` is how far bringing the result into the assets has come.
    """

    __tablename__ = "processes"
    __table_args__ = (
        Index("ix_processes_target", "target", "target_id", "created_at"),
        Index("ix_processes_result", "result_state", "fill_after"),
    )

    owner: Mapped[str] = mapped_column(reference("users.id"), index=True)
    kind: Mapped[str]
    job_type: Mapped[str]
    target: Mapped[str]
    target_id: Mapped[str]
    listed: Mapped[bool]
    """Shown in the list of jobs; the many small ones of a stream are not."""
    context: Mapped[dict[str, Any]]
    status: Mapped[ProcessStatus] = mapped_column(index=True)
    progress: Mapped[float]
    remaining_s: Mapped[float | None]
    epoch: Mapped[int | None]
    epochs: Mapped[int | None]
    metrics: Mapped[dict[str, Any] | None]
    metrics_epoch: Mapped[int | None]
    """The epoch that the metrics are of; `epoch` is the one at work."""
    attempt: Mapped[int]
    cause: Mapped[str | None]
    cancel_requested_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    seen_at: Mapped[str | None]
    progress_seen_at: Mapped[str | None]
    ended: Mapped[dict[str, Any] | None]
    result_state: Mapped[ResultState]
    cursor: Mapped[dict[str, Any] | None]
    fill_failures: Mapped[int]
    fill_after: Mapped[datetime | None]
    outputs: Mapped[dict[str, Any] | None]
    """What became of its outputs in the warehouse, by output."""


class OutboxMessage(Scoped):
    """A message to the bus, stored with the change that caused it; the id is the message's.

    It is published with a confirm, and again until `settled_at`: for a request until job.accepted is seen, for a
    cancel until the job has ended.
    """

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_waiting", "settled_at", "next_at"),)

    job: Mapped[str] = mapped_column(index=True)
    type: Mapped[str]
    routing_key: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    times: Mapped[int]
    next_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class ConfigWrite(Scoped):
    """A value that Argo must be given (or lose: None), stored with the change that caused it. Later rows for the same
    key supersede earlier ones."""

    __tablename__ = "config_writes"
    __table_args__ = (Index("ix_config_writes_waiting", "settled_at", "next_at"),)

    service: Mapped[str]
    key: Mapped[str]
    value: Mapped[dict[str, Any] | None]
    times: Mapped[int]
    next_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class UntoldUpload(Scoped):
    """A picture has come into an album, and no event has told of it yet: those of a moment are told together."""

    __tablename__ = "untold_uploads"

    album: Mapped[str]


class Event(Base):
    """A server-sent event. Numbers are given under the organisation's row lock, so that none is ever skipped.
    `user` None: for everybody in the organisation."""

    __tablename__ = "events"

    organisation: Mapped[str] = mapped_column(reference("organisations.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    type: Mapped[str]
    user: Mapped[str | None]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)
