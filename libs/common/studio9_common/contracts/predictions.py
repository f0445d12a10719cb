"""The prediction table (a public schema) and the manifests of what an attempt produced.

One row per predicted box; for a classifier one row with the top label, the other scores in `scores`. `prediction_id`
is the hash of picture version, model version, stream or job, and index: the same prediction has the same id however
often it is made, and it is unique in Baile and in the warehouse. The task writes boxes; the worker stamps provenance.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

SCHEMA = 1


class ColumnType(StrEnum):
    text = "text"
    long = "long"
    double = "double"
    json = "json"
    time = "time"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the prediction table; `size` is the longest text in bytes."""

    name: str
    type: ColumnType
    meaning: str
    nullable: bool = False
    size: int = 128


_text, _long, _double, _json, _time = (
    ColumnType.text,
    ColumnType.long,
    ColumnType.double,
    ColumnType.json,
    ColumnType.time,
)

COLUMNS: tuple[Column, ...] = (
    Column("prediction_id", _text, "hash of picture version, model version, stream or job, index", size=64),
    Column("organisation", _text, "whose row this is"),
    Column("source", _text, "batch or online", size=16),
    Column("picture_id", _text, "the picture in Baile, or its claim's id for an online picture"),
    Column("picture_version", _text, "sha256 of the picture's bytes", size=64),
    Column("picture_filename", _text, "its name as uploaded", size=1024),
    Column("box_index", _long, "index of the box within the picture, 0 first, by falling confidence"),
    Column("label", _text, "predicted label", size=512),
    Column("confidence", _double, "0..1"),
    Column("left_px", _double, "left edge in pixels of the upright picture", nullable=True),
    Column("top_px", _double, "top edge in pixels", nullable=True),
    Column("width_px", _double, "width in pixels", nullable=True),
    Column("height_px", _double, "height in pixels", nullable=True),
    Column("scores", _json, "the other labels' scores", nullable=True, size=65535),
    Column("model_id", _text, "the model"),
    Column("model_version", _text, "the version of the model that predicted"),
    Column("label_revision", _text, "the picture's label revision at that time", nullable=True),
    Column("dataset_version", _text, "the dataset version that the model was trained on", nullable=True),
    Column("job", _text, "the job"),
    Column("attempt", _long, "its attempt"),
    Column("fence", _long, "that attempt's fence"),
    Column("stream", _text, "the online stream", nullable=True),
    Column("image_digest", _text, "digest of the trainer's image; empty in a child process", nullable=True),
    Column("commit", _text, "the commit of the build that made the row", size=64),
    Column("predicted_at", _time, "when the task predicted, UTC"),
)


def prediction_id(picture_version: str, model_version: str, stream_or_job: str, index: int) -> str:
    """The id of a prediction, 64 hex digits."""
    text = "\x1f".join((picture_version, model_version, stream_or_job, str(index)))
    return hashlib.sha256(text.encode()).hexdigest()


class ManifestFile(BaseModel):
    """One uploaded file. `name` is its path below outputs/, `artifact` the name it was announced under (`model`,
    `result`; empty for what the worker itself wrote); `kind`: artifact, predictions-part, log."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    key: str
    sha256: str
    size: int
    media_type: str = "application/octet-stream"
    kind: str = "artifact"
    rows: int | None = None
    artifact: str = ""


class PredictionsOutput(BaseModel):
    """The prediction rows of an attempt as gzip CSV parts (header line, columns as COLUMNS)."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    output: str = "predictions"
    rows: int
    pictures: int
    pictures_without: int
    parts: tuple[ManifestFile, ...]


class AttemptManifest(BaseModel):
    """What an attempt produced, written after all of it is uploaded; the job document names the current one. `commit`
    is the build's that ran it, `image_digest` the trainer's image (None: a child process)."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    schema_: int = SCHEMA
    organisation: str
    job: str
    attempt: int
    fence: int
    kind: str
    commit: str | None = None
    image_digest: str | None = None
    files: tuple[ManifestFile, ...] = ()
    predictions: PredictionsOutput | None = None
