"""Probability tables: what a model predicted on an album's pictures, as rows. A view of a result album, with its id.

A detector tells the confidence of the label that it chose; the probabilities of the other labels stand as 0.
"""

import asyncio
import csv
import io
import json
import statistics
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import ModelVersion
from studio9_baile.models.pictures import Album, AlbumType, LabelMode
from studio9_baile.models.runs import Deployment, Prediction
from studio9_baile.repositories.paging import Page
from studio9_baile.repositories.pictures import PredictedRow
from studio9_baile.repositories.probabilities import CORNERS, corners, probabilities
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.access import check_read
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.shapes import SHAPE, area
from studio9_common.errors import NotFound

PROBABILITY = "{} probability"
BINS = 10
ROWS_OF_FIGURES = 100_000
"""Figures of columns are made from so many rows at most."""
ROWS_AT_ONCE = 5_000
"""Of a table that is written as CSV."""

Type = Literal["STRING", "INTEGER", "DOUBLE"]
Value = str | int | float


@dataclass(frozen=True, slots=True)
class Column:
    """A column and what it holds."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Table:
    """A table of an album."""

    album: Album
    columns: tuple[Column, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a column: of numbers min to median, of texts the most frequent one, how often what occurs."""

    column: str
    numbers: dict[str, float] | None
    unique: int
    most_frequent: Value | None
    histogram: list[dict[str, Value]]


async def get_table(core: Core, caller: Caller, identifier: str, share: str | None = None) -> Table:
    """The table of a result album. Raises NotFound, AccessDenied."""
    async with core.database.read(caller.organisation) as work:
        return await _table(work, caller, identifier, share)


async def get_rows(
    core: Core, caller: Caller, identifier: str, page: Page, share: str | None = None
) -> tuple[list[list[Value]], int]:
    """A page of a table's rows, and how many there are."""
    async with core.database.read(caller.organisation) as work:
        table = await _table(work, caller, identifier, share)
        found, count = await work.predicted.page(table.album.id, page, _sortable(table))
    return [_row(table, one) for one in found], count


async def get_figures(core: Core, caller: Caller, identifier: str, share: str | None = None) -> list[Figures]:
    """Figures of a table's columns; none of an empty table."""
    async with core.database.read(caller.organisation) as work:
        table = await _table(work, caller, identifier, share)
        found, _ = await work.predicted.page(table.album.id, Page(size=ROWS_OF_FIGURES))
    rows = [_row(table, one) for one in found]
    if not rows:
        return []  # of nothing there are no figures: the UI would show them as `null`, or break on an empty histogram
    return [_figures(column, [row[number] for row in rows]) for number, column in enumerate(table.columns)]


async def export_table(core: Core, caller: Caller, table: Table) -> AsyncIterator[str]:
    """A table as CSV with a header, part by part: each row that was there at the beginning stands in it once."""
    yield _csv([[column.name for column in table.columns]])
    last: PredictedRow | None = None
    while True:
        async with core.database.read(caller.organisation) as work:
            found = await work.predicted.following(table.album.id, last, ROWS_AT_ONCE)
        if not found:
            return
        yield await asyncio.to_thread(_text, table, found)
        last = found[-1]


def _text(table: Table, rows: Sequence[PredictedRow]) -> str:
    return _csv(_row(table, one) for one in rows)


def _csv(rows: Iterable[Sequence[Value]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _sortable(table: Table) -> dict[str, Any]:
    """The columns that a table can be sorted by besides the file name."""
    found = corners() if table.album.label_mode is LabelMode.LOCALIZATION else {}
    return found | probabilities({PROBABILITY.format(label): label for label in table.labels})


async def _table(work: Work, caller: Caller, identifier: str, share: str | None) -> Table:
    album = await work.albums.find(identifier)
    if album is None or album.type is AlbumType.SOURCE:
        raise NotFound("Table not found")
    await check_read(work, caller, Kind.ALBUM, album, share)
    version = await _version(work, album)
    labels = tuple(version.labels or ()) if version is not None else ()
    corners = CORNERS if album.label_mode is LabelMode.LOCALIZATION else ()
    columns = (
        Column("filename", "STRING"),
        *(Column(name, "INTEGER") for name in corners),
        *(Column(PROBABILITY.format(label), "DOUBLE") for label in labels),
    )
    return Table(album, columns, labels)


async def _version(work: Work, album: Album) -> ModelVersion | None:
    """The model version that predicted on an album."""
    of: list[Prediction | Deployment] = [
        *await work.predictions.all(work.predictions.row.output == album.id),
        *await work.deployments.all(work.deployments.row.output == album.id),
    ]
    if of:
        return await work.versions.find(of[0].model_version)
    found = await work.versions.all(work.versions.row.job == album.job) if album.job else []
    return found[0] if found else None


def _row(table: Table, one: PredictedRow) -> list[Value]:
    values: list[Value] = [one.filename]
    if table.album.label_mode is LabelMode.LOCALIZATION:
        box = area(SHAPE.validate_json(one.shape), one.width, one.height)
        values += [box["left"], box["top"], box["left"] + box["width"], box["top"] + box["height"]]
    scores = json.loads(one.scores) if one.scores else {one.label: one.confidence}
    return values + [float(scores.get(label, 0.0)) for label in table.labels]


def _figures(column: Column, values: Sequence[Value]) -> Figures:
    if column.type == "STRING":
        frequent = [{"value": value, "count": count} for value, count in _counted(values)]
        return Figures(column.name, None, len(set(values)), frequent[0]["value"], frequent[:BINS])
    numbers = [float(value) for value in values]
    mean = statistics.fmean(numbers)
    known = {
        "min": min(numbers),
        "max": max(numbers),
        "avg": mean,
        "std": statistics.stdev(numbers, mean) if len(numbers) > 1 else 0.0,
        "stdPopulation": statistics.pstdev(numbers, mean),
        "median": statistics.median(numbers),
    }
    return Figures(column.name, known, len(set(numbers)), None, list(_bins(numbers, known["min"], known["max"])))


def _counted(values: Sequence[Value]) -> list[tuple[Value, int]]:
    counts: dict[Value, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return sorted(counts.items(), key=lambda one: -one[1])


def _bins(numbers: Sequence[float], low: float, high: float) -> Iterator[dict[str, Value]]:
    if low == high:
        yield {"count": len(numbers), "min": low, "max": high}
        return
    width = (high - low) / BINS
    counts = [0] * BINS
    for number in numbers:
        counts[min(BINS - 1, int((number - low) / width))] += 1
    for place, count in enumerate(counts):
        yield {"count": count, "min": low + place * width, "max": low + (place + 1) * width}
