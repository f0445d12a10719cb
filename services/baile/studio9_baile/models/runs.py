"""Experiments, predictions and deployments: what users start, and what came of it."""

from enum import StrEnum
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Asset, reference


class ExperimentStatus(StrEnum):
    """COMPLETED once everything of it is there."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"


class PredictionStatus(StrEnum):
    """DONE once its result is in the output album."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    ERROR = "ERROR"


class Experiment(Asset):
    """A training as the user described it (`pipeline`) and its `result`, both in the form that users see."""

    __tablename__ = "experiments"
    __table_args__ = (UniqueConstraint("organisation", "owner", "name"),)

    type: Mapped[str]
    status: Mapped[ExperimentStatus]
    pipeline: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]


class Prediction(Asset):
    """A model version applied to an album; `evaluate` compares it with the labels."""

    __tablename__ = "predictions"
    __table_args__ = (UniqueConstraint("organisation", "owner", "name"),)

    status: Mapped[PredictionStatus]
    evaluate: Mapped[bool]
    model: Mapped[str] = mapped_column(reference("models.id"), index=True)
    model_version: Mapped[str] = mapped_column(reference("model_versions.id"), index=True)
    input: Mapped[str] = mapped_column(reference("albums.id"), index=True)
    output: Mapped[str] = mapped_column(reference("albums.id"), index=True)
    dataset_version: Mapped[str | None] = mapped_column(reference("dataset_versions.id"))
    options: Mapped[dict[str, Any] | None]
    summary: Mapped[dict[str, Any] | None]
    times: Mapped[dict[str, Any] | None]


class Deployment(Asset):
    """A model version put to work on a stream of new pictures. Its id is the stream's."""

    __tablename__ = "deployments"
    __table_args__ = (UniqueConstraint("organisation", "owner", "name"),)

    enabled: Mapped[bool]
    model: Mapped[str] = mapped_column(reference("models.id"), index=True)
    model_version: Mapped[str] = mapped_column(reference("model_versions.id"), index=True)
    bucket: Mapped[str]
    prefix: Mapped[str]
    output: Mapped[str] = mapped_column(reference("albums.id"), index=True)
