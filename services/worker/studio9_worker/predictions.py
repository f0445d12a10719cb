"""`predictions.jsonl` as gzip CSV parts of the prediction table, streamed: the task gives boxes, we stamp the rest.

Dialect: a header line, `\\n`, every text quoted with doubled quotes inside, numbers bare, null as nothing at all. The
same file gives the same bytes, so that an upload can be repeated.
"""

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from studio9_common.contracts.job import Provenance
from studio9_common.contracts.predictions import COLUMNS, ColumnType, prediction_id
from studio9_task.errors import ManifestError
from studio9_task.pictures import PictureRecord, read_manifest
from studio9_task.results import PredictedPicture, read_predictions
from studio9_worker.lease import AttemptKey
from studio9_worker.outputs import BadOutput

HEADER = ",".join(column.name for column in COLUMNS) + "\n"
Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every row of an attempt carries. `predicted_at` is RFC 3339 text."""

    organisation: str
    key: AttemptKey
    attempt: int
    commit: str
    image_digest: str | None
    predicted_at: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Known:
    """What the manifest says of a picture."""

    version: str
    filename: str
    label_revision: str | None


@dataclass(frozen=True, slots=True)
class WrittenPart:
    """A part on the disk."""

    path: Path
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Table:
    """The parts and what they hold."""

    parts: tuple[WrittenPart, ...]
    rows: int
    pictures: int
    pictures_without: int


def known_pictures(manifests: Mapping[str, Path]) -> dict[tuple[str, str], Known]:
    """(input, picture id) → what its manifest says. Raises ManifestError. Blocks."""
    return {
        (name, picture.picture_id): Known(picture.version, picture.filename, picture.label_revision)
        for name, path in manifests.items()
        for picture in _pictures(path)
    }


def _pictures(path: Path) -> Iterator[PictureRecord]:
    return read_manifest(path)


def write_table(
    source: Path, target: Path, stamp: Stamp, known: Mapping[tuple[str, str], Known], rows_per_part: int
) -> Table:
    """Writes parts to the folder `target`. Raises BadOutput for a line that is no prediction of a given picture.
    Blocks."""
    target.mkdir(parents=True, exist_ok=True)
    parts: list[WrittenPart] = []
    pictures = without = rows = 0
    part: _Part | None = None
    try:
        for picture in read_predictions(source):
            pictures += 1
            lines = [csv_line(row) for row in picture_rows(picture, stamp, known)]
            without += not lines
            rows += len(lines)
            for line in lines:
                part = part or _Part(target / f"part-{len(parts):05d}.csv.gz")
                part.add(line)
                if part.rows == rows_per_part:
                    parts.append(part.close())
                    part = None
    except ManifestError as error:
        raise BadOutput(str(error)) from None
    finally:
        if part is not None:
            parts.append(part.close())
    return Table(tuple(parts), rows, pictures, without)


def picture_rows(picture: PredictedPicture, stamp: Stamp, known: Mapping[tuple[str, str], Known]) -> list[list[Value]]:
    """The rows of one picture, in the order of COLUMNS. Raises BadOutput."""
    about = known.get((picture.input, picture.picture_id))
    if about is None or about.version != picture.sha256:
        raise BadOutput(f"picture {picture.picture_id!r} was predicted, but input {picture.input!r} does not hold it")
    if sorted(box.index for box in picture.boxes) != list(range(len(picture.boxes))):
        raise BadOutput(f"the boxes of picture {picture.picture_id!r} are not counted from 0 on")
    found: list[tuple[int, str, float, tuple[float, float, float, float] | None, str | None]] = [
        (box.index, box.label, box.confidence, (box.left, box.top, box.width, box.height), None)
        for box in sorted(picture.boxes, key=lambda box: box.index)
    ]
    if picture.label is not None and not found:
        scores = dict(picture.scores or {})
        confidence = scores.pop(picture.label, 1.0)
        found = [(0, picture.label, confidence, None, _scores(scores))]
    return [_row(picture.picture_id, about, stamp, *one) for one in found]


def _row(
    picture_id: str,
    about: Known,
    stamp: Stamp,
    index: int,
    label: str,
    confidence: float,
    box: tuple[float, float, float, float] | None,
    scores: str | None,
) -> list[Value]:
    given = stamp.provenance
    model_version = given.model_version or ""
    identity = prediction_id(about.version, model_version, given.stream or stamp.key.job, index)
    left, top, width, height = box or (None, None, None, None)
    values: dict[str, Value] = {
        "prediction_id": identity,
        "organisation": stamp.organisation,
        "source": given.source,
        "picture_id": picture_id,
        "picture_version": about.version,
        "picture_filename": about.filename,
        "box_index": index,
        "label": label,
        "confidence": confidence,
        "left_px": left,
        "top_px": top,
        "width_px": width,
        "height_px": height,
        "scores": scores,
        "model_id": given.model_id or "",
        "model_version": model_version,
        "label_revision": about.label_revision,
        "dataset_version": given.dataset_version,
        "job": stamp.key.job,
        "attempt": stamp.attempt,
        "fence": stamp.key.fence,
        "stream": given.stream,
        "image_digest": stamp.image_digest,
        "commit": stamp.commit,
        "predicted_at": stamp.predicted_at,
    }
    return [_fitting(values[column.name], column.type, column.size) for column in COLUMNS]


def _fitting(value: Value, kind: ColumnType, size: int) -> Value:
    """A text without NUL and within its column's bytes; other values as they are."""
    if not isinstance(value, str):
        return value
    text = value.replace("\x00", "")
    if kind is ColumnType.json or len(text.encode()) <= size:
        return text
    return text.encode()[:size].decode(errors="ignore")


def _scores(scores: Mapping[str, float]) -> str | None:
    """The other labels' scores as JSON, the strongest first, as many as the column holds."""
    limit = next(column.size for column in COLUMNS if column.name == "scores")
    ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    while ordered:
        text = json.dumps(dict(ordered), ensure_ascii=False)
        if len(text.encode()) <= limit:
            return text
        ordered = ordered[: len(ordered) * 9 // 10]
    return None


def csv_line(values: list[Value]) -> bytes:
    """One line of the dialect above."""
    return (",".join(_cell(value) for value in values) + "\n").encode()


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    return repr(value)


class _Part:
    """A part in the making; without name and time in its header, so that equal rows are equal bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._gzip = gzip.GzipFile("", "wb", 6, self._file, mtime=0)
        self._gzip.write(HEADER.encode())
        self.rows = 0

    def add(self, line: bytes) -> None:
        self._gzip.write(line)
        self.rows += 1

    def close(self) -> WrittenPart:
        self._gzip.close()
        self._file.close()
        with self._path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        return WrittenPart(self._path, self.rows, size, digest)
