"""Labels as CSV: brought in, with a report of every row that could not be used, and taken out."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.pictures import Album, AlbumType, LabelImport, LabelMode, Picture
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.access import check_read
from studio9_baile.usecases.albums import editable
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.label_rows import HeaderRow, LabelRow, SkippedRow, read_rows
from studio9_baile.usecases.pictures import Upload
from studio9_baile.usecases.revisions import current_shapes, predicted_shapes, revise
from studio9_baile.usecases.shapes import MOST, area, box_problem
from studio9_common.errors import NotFound
from studio9_task.shapes import Box, Shape, Tag

ROWS_AT_ONCE = 5_000
PICTURES_AT_ONCE = 100
"""Pictures of one chunk of an export."""
SKIPPED_KEPT = 1_000


@dataclass(slots=True)
class Report:
    """What became of an upload of labels. At most SKIPPED_KEPT skipped rows are told one by one."""

    rows: int = 0
    used: int = 0
    header: bool = False
    pictures: int = 0
    skipped: int = 0
    details: list[SkippedRow] = field(default_factory=list)

    def skip(self, line: int, reason: str) -> None:
        self.skipped += 1
        if len(self.details) < SKIPPED_KEPT:
            self.details.append(SkippedRow(line, reason))

    def body(self, most: int = SKIPPED_KEPT) -> dict[str, Any]:
        """The JSON form, with at most so many skipped rows, in the order of the file."""
        told = sorted(self.details, key=lambda one: one.line)[:most]
        return {
            "rows": self.rows,
            "used": self.used,
            "header": self.header,
            "pictures": self.pictures,
            "skipped": self.skipped,
            "skippedRows": [{"line": one.line, "reason": one.reason} for one in told],
        }


async def upload_labels(
    core: Core, caller: Caller, album_id: str, upload: Upload, *, while_filling: bool = False
) -> tuple[Album, Report]:
    """Gives pictures the labels of a CSV, by file name, all or nothing. A picture that the file names gets exactly the
    file's labels; rows that cannot be used are skipped and reported. Raises AlbumLocked, BadInput."""
    report = Report()
    async with core.database.read(caller.organisation) as work:
        album = await editable(work, caller, album_id, while_filling=while_filling)
        pictures, shapes = await _collect(work, album, upload, report)
    async with core.database.write(caller.organisation) as work:
        album = await editable(work, caller, album_id, while_filling=while_filling, lock=True)
        current = await work.pictures.many(pictures)
        await revise(work, list(current.values()), shapes, source="human", author=caller.user)
        album.updated_at = work.now
        report.pictures = len(current)
        work.label_imports.make(album=album.id, author=caller.user, report=report.body(), finished_at=work.now)
        changed(work, Kind.ALBUM, album.id, "labelled", by=caller)
    return album, report


async def _collect(
    work: Work, album: Album, upload: Upload, report: Report
) -> tuple[dict[str, Picture], dict[str, list[Shape]]]:
    """The pictures that the file names, and their shapes."""
    pictures: dict[str, Picture] = {}
    shapes: dict[str, list[Shape]] = {}
    named: dict[str, list[Picture]] = {}
    rows = read_rows(upload.path, album.label_mode)
    while chunk := await asyncio.to_thread(_take, rows):
        good: list[LabelRow] = []
        for row in chunk:
            match row:
                case HeaderRow():
                    report.header = True
                case SkippedRow():
                    report.rows += 1
                    report.skip(row.line, row.reason)
                case LabelRow():
                    report.rows += 1
                    good.append(row)
        unknown = {row.filename for row in good} - named.keys()
        found = await work.pictures.by_filename(album.id, unknown)
        named.update({name: found.get(name, []) for name in unknown})
        await asyncio.to_thread(_use_all, good, named, pictures, shapes, report)
    return pictures, shapes


def _take(rows: Iterator[LabelRow | SkippedRow | HeaderRow]) -> list[LabelRow | SkippedRow | HeaderRow]:
    return list(islice(rows, ROWS_AT_ONCE))


def _use_all(
    rows: Sequence[LabelRow],
    named: Mapping[str, Sequence[Picture]],
    pictures: dict[str, Picture],
    shapes: dict[str, list[Shape]],
    report: Report,
) -> None:
    for row in rows:
        _use(row, named[row.filename], pictures, shapes, report)


def _use(
    row: LabelRow,
    named: Sequence[Picture],
    pictures: dict[str, Picture],
    shapes: dict[str, list[Shape]],
    report: Report,
) -> None:
    if not named:
        report.skip(row.line, f"the album has no picture named {row.filename!r}")
        return
    fitting: list[tuple[Picture, Shape]] = []
    for picture in named:
        if len(shapes.get(picture.id, ())) == MOST:
            report.skip(row.line, f"{row.filename!r} has {MOST} labels already; give a picture at most so many")
            return
        if row.box is None:
            fitting.append((picture, Tag(label=row.label)))
            continue
        left, top, right, bottom = row.box
        width, height = right - left, bottom - top
        problem = box_problem(left, top, width, height, picture.width, picture.height)
        if problem is not None:
            report.skip(row.line, problem)
            return
        fitting.append((picture, Box(label=row.label, left=left, top=top, width=width, height=height)))
    for picture, shape in fitting:
        pictures[picture.id] = picture
        shapes.setdefault(picture.id, []).append(shape)
    report.used += 1


async def last_report(core: Core, caller: Caller, album_id: str) -> LabelImport:
    """The report of the last upload of labels to an album. Raises NotFound."""
    async with core.database.read(caller.organisation) as work:
        album = await work.albums.get(album_id)
        await check_read(work, caller, Kind.ALBUM, album)
        found = await work.label_imports.last(album.id)
    if found is None:
        raise NotFound(work.label_imports.missing)
    return found


async def export_labels(core: Core, caller: Caller, album: Album) -> AsyncIterator[str]:
    """An album's labels as CSV with a header, chunk by chunk: the given ones of a source album, else the predicted."""
    boxes = album.label_mode is LabelMode.LOCALIZATION
    yield _csv([["filename", "label", *(("x-min", "y-min", "x-max", "y-max") if boxes else ())]])
    after = ""
    while True:
        async with core.database.read(caller.organisation) as work:
            pictures = await work.pictures.of_album(album.id, after, limit=PICTURES_AT_ONCE)
            if not pictures:
                return
            if album.type is AlbumType.SOURCE:
                marks = await current_shapes(work, pictures)
            else:
                marks = await predicted_shapes(work, pictures)
        yield await asyncio.to_thread(_chunk, pictures, marks, boxes)
        after = pictures[-1].id


def _chunk(pictures: Sequence[Picture], marks: Mapping[str, Sequence[Shape]], boxes: bool) -> str:
    return _csv(row for picture in pictures for row in _lines(picture, marks[picture.id], boxes))


def _lines(picture: Picture, marks: Sequence[Shape], boxes: bool) -> Iterator[list[Any]]:
    if not boxes:
        yield [picture.filename, marks[0].label if marks else ""]
    elif not marks:
        yield [picture.filename, "", "", "", "", ""]
    else:
        for shape in marks:
            box = area(shape, picture.width, picture.height)
            right, bottom = box["left"] + box["width"], box["top"] + box["height"]
            yield [picture.filename, shape.label, box["left"], box["top"], right, bottom]


def _csv(rows: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
