"""Dataset versions, code packages, models and their versions."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Asset, Scoped, Unchanging, digest, in_library, reference


class VersionStatus(StrEnum):
    """Where a model version is in its making: TRAINING until it has weights or never will."""

    TRAINING = "TRAINING"
    ACTIVE = "ACTIVE"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"


class Stage(StrEnum):
    """Where a model version is in its use."""

    candidate = "candidate"
    approved = "approved"
    deployed = "deployed"
    retired = "retired"


class DatasetVersion(Unchanging):
    """An immutable list of (picture content, label revision, split), written for every training, evaluation and
    prediction. Its manifests are objects of studio9_task.PictureRecord lines.

    The row of one that was deleted stays, for the models and predictions that name it; no repository shows it."""

    __tablename__ = "dataset_versions"

    author: Mapped[str]
    purpose: Mapped[str]
    pictures: Mapped[int]
    shapes: Mapped[int]
    listed: Mapped[bool] = mapped_column(server_default=false())
    """Whether DatasetObject rows say which pictures it holds, and they count: for tiles, which no album has."""
    deleted_at: Mapped[datetime | None]


class DatasetObject(Scoped):
    """An object that a dataset version holds. No foreign key: tiles are noted while their version is being made."""

    __tablename__ = "dataset_objects"
    __table_args__ = (UniqueConstraint("dataset_version", "sha256"),)

    dataset_version: Mapped[str]
    sha256: Mapped[str] = mapped_column(index=True)
    size: Mapped[int] = mapped_column(BigInteger)


class DatasetManifest(Scoped):
    """One manifest of a dataset version: the pictures of one album under one name (`train`, `test`, `predict`)."""

    __tablename__ = "dataset_manifests"
    __table_args__ = (UniqueConstraint("dataset_version", "name"),)

    dataset_version: Mapped[str] = mapped_column(reference("dataset_versions.id"))
    name: Mapped[str]
    album: Mapped[str] = mapped_column(index=True)
    """No foreign key: the manifest outlives the album."""
    key: Mapped[str]
    profile: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    pictures: Mapped[int]
    shapes: Mapped[int]


class Model(Asset):
    """What is trained; it exists before its first version is."""

    __tablename__ = "models"
    __table_args__ = (in_library("uq_models_name", "organisation", "owner", "name"),)

    in_library: Mapped[bool]


class CodePackage(Unchanging):
    """A trainer of a user's own: a zip archive, judged when it came in and never changed. Names need not be unique."""

    __tablename__ = "code_packages"

    owner: Mapped[str] = mapped_column(reference("users.id"), index=True)
    name: Mapped[str]
    key: Mapped[str]
    profile: Mapped[str]
    sha256: Mapped[str] = mapped_column(index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    unpacked: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[list[Any]]
    """Their names."""


class ModelVersion(Scoped):
    """One result of training a model. `artifact_*` name its weights once there are some. `tl_type` is Salsa's word
    for what it does; `head` and `architecture` are ids of the catalogue."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model", "number"),)

    model: Mapped[str] = mapped_column(reference("models.id", cascade=True))
    number: Mapped[int]
    status: Mapped[VersionStatus]
    stage: Mapped[Stage]
    framework: Mapped[str]
    architecture: Mapped[str]
    head: Mapped[str]
    tl_type: Mapped[str]
    labels: Mapped[list[Any] | None]
    parameters: Mapped[dict[str, Any]]
    figures: Mapped[dict[str, Any] | None]
    """Its evaluations by input (studio9_task.results.Evaluation), as far as they fit."""
    feature_extractor: Mapped[str | None] = mapped_column(reference("model_versions.id"))
    dataset_version: Mapped[str | None] = mapped_column(reference("dataset_versions.id"))
    experiment: Mapped[str | None] = mapped_column(index=True)
    """No foreign key: a saved model outlives its experiment."""
    code: Mapped[str | None] = mapped_column(index=True)
    """The code package that it was trained with, and that every task with its weights needs. (No foreign key: SQLite
    adds none to a table that is there.)"""
    job: Mapped[str | None] = mapped_column(index=True)
    artifact_key: Mapped[str | None]
    artifact_profile: Mapped[str | None]
    artifact_sha256: Mapped[str | None]
    artifact_size: Mapped[int | None] = mapped_column(BigInteger)
    updated_at: Mapped[datetime]

    @property
    def tag(self) -> str:
        return digest(self.status, self.stage, self.updated_at)
