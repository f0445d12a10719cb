"""What users store and serve besides albums: files of binary datasets, online APIs, and codes that go out by mail."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Asset, Scoped, reference


class FileSetStatus(StrEnum):
    """Files change only while it is IDLE."""

    IDLE = "IDLE"
    IMPORTING = "IMPORTING"
    EXPORTING = "EXPORTING"
    ERROR = "ERROR"


class FileSet(Asset):
    """A plain set of files; Salsa calls it a dataset. It has nothing to do with dataset versions."""

    __tablename__ = "file_sets"
    __table_args__ = (UniqueConstraint("organisation", "owner", "name"),)

    status: Mapped[FileSetStatus]


class StoredFile(Scoped):
    """A file of a file set. Its bytes are an object named by their hash."""

    __tablename__ = "stored_files"
    __table_args__ = (UniqueConstraint("file_set", "name"),)

    file_set: Mapped[str] = mapped_column(reference("file_sets.id", cascade=True))
    name: Mapped[str]
    key: Mapped[str]
    profile: Mapped[str]
    sha256: Mapped[str] = mapped_column(index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    content_type: Mapped[str]


class Orphan(Scoped):
    """An object that nothing named when it was looked for, at `created_at`. Whoever is about to store the same bytes
    again takes the mark away first; an object that keeps its mark is removed."""

    __tablename__ = "orphans"

    key: Mapped[str] = mapped_column(unique=True)


class OnlineApi(Asset):
    """A model version that answers single pictures."""

    __tablename__ = "online_apis"
    __table_args__ = (UniqueConstraint("organisation", "owner", "name"),)

    enabled: Mapped[bool]
    model: Mapped[str] = mapped_column(reference("models.id"), index=True)
    model_version: Mapped[str] = mapped_column(reference("model_versions.id"), index=True)


class MailedCode(Scoped):
    """The hash of a code that a user got by mail; good once, until `expires_at`. `purpose` is what it is for."""

    __tablename__ = "mailed_codes"

    user: Mapped[str] = mapped_column(reference("users.id", cascade=True), index=True)
    purpose: Mapped[str]
    code_hash: Mapped[str] = mapped_column(unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
