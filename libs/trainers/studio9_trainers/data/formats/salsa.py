"""Salsa's label files: CSV rows `filename,label` or `filename,label,x-min,y-min,x-max,y-max`, beside the pictures."""

import csv
from collections.abc import Iterator
from pathlib import Path

from studio9_task.shapes import Box, Shape, Tag
from studio9_trainers.data.class_map import ClassMap
from studio9_trainers.data.collection import Collection, Sample, found, lost
from studio9_trainers.data.findings import Finding
from studio9_trainers.data.formats.placing import Names, number, place
from studio9_trainers.errors import BadInput

HEADER = ("filename", "label", "x-min", "y-min", "x-max", "y-max")


def read_salsa(file: Path, pictures: Path | None = None) -> Collection:
    """Read a label file; the pictures lie in `pictures` or beside it. A row with an empty label names a picture alone.

    Raises BadInput where the file can't be read as text; what is wrong with rows is told as findings.
    """
    folder = pictures or file.parent
    findings: list[Finding] = []
    shapes: dict[str, list[Shape]] = {}
    try:
        for line, row in _rows(file):
            name, shape = _row(row, line, file.name, findings)
            if name:
                shapes.setdefault(name, [])
                if shape is not None:
                    shapes[name].append(shape)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{file.name} can't be read as CSV ({error}): write it in UTF-8.") from None
    samples = []
    for name, marked in shapes.items():
        path = Path(name)
        if path.is_absolute() or ".." in path.parts:
            findings.append(Finding("error", "bad_name", f"{name!r} leaves the folder", "use a plain name", file.name))
            continue
        sample = found(folder / path, name, findings)
        if sample is not None:
            samples.append(Sample(sample.path, sample.record.model_copy(update={"annotations": tuple(marked)})))
    labels = (shape.label for marked in shapes.values() for shape in marked)
    return Collection(tuple(samples), ClassMap.of(labels), tuple(findings))


def write_salsa(collection: Collection, root: Path) -> tuple[Finding, ...]:
    """Write `labels.csv` and the pictures beside it, with boxes if there are any, else with the first tag of each."""
    names = Names()
    findings = []
    boxed = any(sample.record.boxes for sample in collection.samples)
    root.mkdir(parents=True, exist_ok=True)
    with (root / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(HEADER if boxed else HEADER[:2])
        for sample in collection.samples:
            name = names.file(sample)
            place(sample, root / name)
            record = sample.record
            kept = list(record.boxes) if boxed else list(record.tags[:1])
            if len(kept) < len(record.annotations) or any(shape.ignore for shape in kept):
                findings.append(
                    lost(sample, "shapes other than boxes or one tag, and what is to be ignored", "The CSV")
                )
            for shape in kept:
                corners = [number(value) for value in shape.corners] if isinstance(shape, Box) else []
                rows.writerow([name, shape.label, *corners])
            if not kept:
                rows.writerow([name, *[""] * (5 if boxed else 1)])
    return tuple(findings)


def _rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text)
        for row in reader:
            if row and tuple(cell.strip().lower() for cell in row[:2]) != HEADER[:2]:
                yield reader.line_num, row


def _row(row: list[str], line: int, file: str, findings: list[Finding]) -> tuple[str, Shape | None]:
    name, label = row[0], row[1] if len(row) > 1 else ""
    if not name or not label:
        if label:
            findings.append(Finding("error", "bad_label", "the file name is empty", "fill it in", file, line))
        return name, None
    if len(row) < 6 or not any(row[2:6]):
        return name, Tag(label=label)
    values = []
    for field, cell in zip(HEADER[2:], row[2:6], strict=True):
        try:
            values.append(float(cell))
        except ValueError:
            findings.append(Finding("error", "bad_label", f"{cell!r} is no number", "correct it", file, line, field))
            return name, None
    left, top, right, bottom = values
    if not (right > left and bottom > top):
        message = f"a box from ({left:g}, {top:g}) to ({right:g}, {bottom:g}) has no area"
        findings.append(Finding("error", "bad_label", message, "correct it", file, line))
        return name, None
    return name, Box(label=label, left=left, top=top, width=right - left, height=bottom - top)
