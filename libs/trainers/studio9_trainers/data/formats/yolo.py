"""YOLO: `data.yaml`, `images/<split>/`, `labels/<split>/` with a line an object, sides as parts of the picture's.

Lines: `class cx cy w h` (box), `class x1 y1 x2 y2 …` (outline; with task `obb` four corners), and with a `kpt_shape`
`class cx cy w h x y [visibility] …`. As Ultralytics documents it.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import yaml

from studio9_task.pictures import Split
from studio9_task.shapes import Box, Keypoint, Keypoints, Polygon, RotatedBox, Shape
from studio9_trainers.data.class_map import ClassMap, UnknownClass
from studio9_trainers.data.collection import Collection, Sample, found, lost, picture_files
from studio9_trainers.data.findings import Finding
from studio9_trainers.data.formats.placing import Names, number, place
from studio9_trainers.data.outlines import rotated_corners, smallest_turned
from studio9_trainers.errors import BadInput

Task = Literal["detect", "segment", "obb", "pose"]
FOLDERS: Mapping[Split, tuple[str, ...]] = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}
KINDS: Mapping[Task, type[Shape]] = {"detect": Box, "segment": Polygon, "obb": RotatedBox, "pose": Keypoints}


def read_yolo(root: Path, task: Task | None = None) -> Collection:
    """All pictures that lie under `root/images`, with their labels. Raises BadInput where there is no usable data.yaml.

    `task` is what data.yaml says unless it is given; without either, five numbers a line are a box and more an outline.
    """
    facts = _facts(root)
    classes = _classes(facts.get("names"))
    points = _point_names(facts)
    told = task or facts.get("task") or ("pose" if points else None)
    findings: list[Finding] = []
    samples = []
    for path in picture_files(root / "images"):
        inner = path.relative_to(root / "images")
        split = next((one for one, names in FOLDERS.items() if inner.parts[0] in names), "none")
        sample = found(path, inner.name, findings, cast(Split, split))
        if sample is None:
            continue
        labels = (root / "labels" / inner).with_suffix(".txt")
        shapes: list[Shape] = []
        if labels.is_file():
            name = labels.relative_to(root).as_posix()
            for line, text in enumerate(labels.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if not text.strip():
                    continue
                try:
                    shapes.append(_shape(text, classes, sample, told, points))
                except UnknownClass as error:
                    findings.append(Finding("error", "unknown_class", str(error), error.fix, name, line))
                except ValueError as error:
                    findings.append(Finding("error", "bad_label", str(error), "correct the line", name, line))
        samples.append(Sample(path, sample.record.model_copy(update={"annotations": tuple(shapes)})))
    return Collection(tuple(samples), classes, tuple(findings))


def write_yolo(collection: Collection, root: Path, task: Task = "detect") -> tuple[Finding, ...]:
    """Write pictures and labels; what is not of the task's kind is left out and told."""
    names = Names()
    findings = []
    points: tuple[str, ...] = ()
    if task == "pose":
        all_points = (one for sample in collection.samples for one in _poses(sample))
        points = tuple(dict.fromkeys(point.name for one in all_points for point in one.points))
    for sample in collection.samples:
        name = names.file(sample)
        split = sample.record.split if sample.record.split != "none" else "train"
        place(sample, root / "images" / split / name)
        kept = [shape for shape in sample.record.annotations if isinstance(shape, KINDS[task])]
        if len(kept) < len(sample.record.annotations):
            findings.append(lost(sample, f"all shapes, only {task}", "YOLO"))
        if any(shape.ignore for shape in kept):
            findings.append(lost(sample, "what is to be ignored; it is left out", "YOLO"))
        lines = [_line(shape, collection.classes, sample, points) for shape in kept if not shape.ignore]
        path = (root / "labels" / split / name).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    facts: dict[str, Any] = {"task": task, "names": dict(collection.classes.labels)}
    facts |= {split: f"images/{split}" for split in FOLDERS if (root / "images" / split).is_dir()}
    if points:
        facts |= {"kpt_shape": [len(points), 3], "kpt_names": {0: list(points)}}
    (root / "data.yaml").write_text(yaml.safe_dump(facts, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return tuple(findings)


def _facts(root: Path) -> dict[str, Any]:
    path = root / "data.yaml"
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"data.yaml can't be read ({error.strerror}): give a folder with data.yaml and images/."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadInput("data.yaml is no YAML: correct it.") from None
    if not isinstance(facts, dict):
        raise BadInput("data.yaml holds no fields: give at least names.")
    return facts


def _classes(names: Any) -> ClassMap:
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(one, int) for one in names):
        raise BadInput("data.yaml, names: give a list of labels, or labels by number.")
    return ClassMap({key: str(label) for key, label in names.items()})


def _point_names(facts: Mapping[str, Any]) -> tuple[str, ...]:
    shape = facts.get("kpt_shape")
    if not shape:
        return ()
    named = facts.get("kpt_names")
    given = named.get(0) if isinstance(named, dict) else None
    return tuple(map(str, given)) if given else tuple(str(one) for one in range(int(shape[0])))


def _shape(text: str, classes: ClassMap, sample: Sample, task: str | None, points: tuple[str, ...]) -> Shape:
    parts = text.split()
    try:
        which, values = int(float(parts[0])), [float(part) for part in parts[1:]]
    except ValueError:
        raise ValueError(f"{text[:60]!r} holds what is no number") from None
    if which not in classes.labels:
        raise UnknownClass(which, classes.labels, "names of data.yaml")
    if not all(math.isfinite(value) for value in values):
        raise ValueError("a coordinate is not finite")
    label, width, height = classes.labels[which], sample.record.width, sample.record.height
    if task == "pose":
        return _pose(label, values, (width, height), points)
    if len(values) == 4:
        return _box(label, values, (width, height))
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f"{len(values)} coordinates: give four of a box, or pairs of an outline's points")
    outline = [(x * width, y * height) for x, y in zip(values[::2], values[1::2], strict=True)]
    if task == "obb":
        if len(outline) != 4:
            raise ValueError(f"{len(outline)} corners: a turned box has four")
        return RotatedBox(label=label, **smallest_turned(np.array(outline)))
    return Polygon(label=label, points=tuple(outline))


def _box(label: str, values: list[float], size: tuple[int, int]) -> Box:
    x, y, width, height = (value * size[at % 2] for at, value in enumerate(values))
    if width <= 0 or height <= 0:
        raise ValueError(f"a box of {values[2]:g} x {values[3]:g} has no area")
    return Box(label=label, left=x - width / 2, top=y - height / 2, width=width, height=height)


def _pose(label: str, values: list[float], size: tuple[int, int], names: tuple[str, ...]) -> Keypoints:
    each = (len(values) - 4) // len(names) if names else 0
    if each not in (2, 3) or len(values) != 4 + each * len(names):
        raise ValueError(f"{len(values)} numbers: give a box and {len(names)} points")
    points = []
    for at, name in enumerate(names):
        x, y, *rest = values[4 + at * each : 4 + (at + 1) * each]
        visibility = int(rest[0]) if rest else (0 if x == y == 0 else 2)
        if visibility not in (0, 1, 2):
            raise ValueError(f"visibility {visibility}: it is 0, 1 or 2")
        points.append(Keypoint(name=name, x=x * size[0], y=y * size[1], visibility=cast(Any, visibility)))
    return Keypoints(label=label, points=tuple(points), box=_box(label, values[:4], size))


def _poses(sample: Sample) -> list[Keypoints]:
    return [one for one in sample.record.annotations if isinstance(one, Keypoints)]


def _line(shape: Shape, classes: ClassMap, sample: Sample, names: tuple[str, ...]) -> str:
    size = sample.record.width, sample.record.height
    values: list[float]
    match shape:
        case Box():
            values = _centred(shape)
        case Polygon():
            values = [value for point in shape.points for value in point]
        case RotatedBox():
            values = [float(value) for point in rotated_corners(shape) for value in point]
        case Keypoints():
            return _pose_line(shape, classes, size, names)
        case _:
            raise TypeError(f"YOLO has no line for {shape.kind}")
    parts = [number(value / size[at % 2]) for at, value in enumerate(values)]
    return " ".join([str(classes.numbers[shape.label]), *parts])


def _pose_line(shape: Keypoints, classes: ClassMap, size: tuple[int, int], names: tuple[str, ...]) -> str:
    known = {point.name: point for point in shape.points}
    box = shape.box or _around(shape)
    parts = [number(value / size[at % 2]) for at, value in enumerate(_centred(box))]
    for name in names:
        point = known.get(name)
        parts += [number(point.x / size[0]), number(point.y / size[1]), str(point.visibility)] if point else ["0"] * 3
    return " ".join([str(classes.numbers[shape.label]), *parts])


def _centred(box: Box) -> list[float]:
    return [box.left + box.width / 2, box.top + box.height / 2, box.width, box.height]


def _around(shape: Keypoints) -> Box:
    xs, ys = [point.x for point in shape.points], [point.y for point in shape.points]
    width, height = max(max(xs) - min(xs), 1.0), max(max(ys) - min(ys), 1.0)
    return Box(label=shape.label, left=min(xs), top=min(ys), width=width, height=height)
