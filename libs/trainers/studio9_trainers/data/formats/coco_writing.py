"""Writing COCO: `annotations.json` and `images/`. See `coco` for what it holds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from studio9_task.shapes import Box, Keypoints, Mask, Polygon, RotatedBox, Shape
from studio9_trainers.data.collection import Collection, Sample, lost
from studio9_trainers.data.findings import Finding
from studio9_trainers.data.formats.coco import KEPT
from studio9_trainers.data.formats.placing import Names, place
from studio9_trainers.data.masks import mask_pixels, run_lengths
from studio9_trainers.data.outlines import Points, area, corners, rotated_corners

FILE = "annotations.json"


def write_coco(collection: Collection, root: Path) -> tuple[Finding, ...]:
    """Write annotations and pictures. Tags and tracks are left out and told."""
    names = Names()
    findings: list[Finding] = []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    points = _point_names(collection)
    for at, sample in enumerate(collection.samples, 1):
        record = sample.record
        name = names.file(sample)
        place(sample, root / "images" / name)
        own = {key: getattr(record, key) for key in KEPT if getattr(record, key) is not None}
        images.append({"id": at, "file_name": name, "width": record.width, "height": record.height} | own)
        for shape in record.annotations:
            if (entry := _entry(shape, sample, points)) is None:
                findings.append(lost(sample, f"a {shape.kind}", "COCO"))
                continue
            category = collection.classes.numbers[shape.label]
            annotations.append({"id": len(annotations) + 1, "image_id": at, "category_id": category} | entry)
    categories = [
        {"id": number, "name": label} | ({"keypoints": points[label]} if label in points else {})
        for number, label in collection.classes.labels.items()
    ]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (root / FILE).write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    return tuple(findings)


def _point_names(collection: Collection) -> Mapping[str, list[str]]:
    """The points of each label, in the order in which they were first seen."""
    names: dict[str, dict[str, None]] = {}
    for sample in collection.samples:
        for shape in sample.record.annotations:
            if isinstance(shape, Keypoints):
                names.setdefault(shape.label, {}).update(dict.fromkeys(point.name for point in shape.points))
    return {label: list(each) for label, each in names.items()}


def _entry(shape: Shape, sample: Sample, points: Mapping[str, list[str]]) -> dict[str, Any] | None:
    entry: dict[str, Any] = {"iscrowd": int(shape.ignore), "z": shape.z, "source": shape.source}
    match shape:
        case Box():
            return entry | _sides(corners(shape.left, shape.top, shape.width, shape.height))
        case RotatedBox():
            outline = rotated_corners(shape)
            turned = [shape.centre_x, shape.centre_y, shape.width, shape.height, shape.angle]
            return entry | _sides(outline) | {"segmentation": [_flat(outline)], "rotated": turned}
        case Polygon():
            outline = np.array(shape.points, dtype=np.float64)
            return entry | _sides(outline) | {"segmentation": [_flat(outline)]}
        case Mask():
            return entry | _mask(shape, sample)
        case Keypoints():
            return entry | _points(shape, points[shape.label])
    return None


def _sides(outline: Points) -> dict[str, Any]:
    low, high = outline.min(axis=0), outline.max(axis=0)
    return {"bbox": [*map(float, low), *map(float, high - low)], "area": area(outline)}


def _flat(outline: Points) -> list[float]:
    return [float(value) for point in outline for value in point]


def _mask(mask: Mask, sample: Sample) -> dict[str, Any]:
    whole = np.zeros((sample.record.height, sample.record.width), dtype=bool)
    inner = mask_pixels(mask)
    whole[mask.top : mask.top + mask.height, mask.left : mask.left + mask.width] = inner
    return {
        "segmentation": {"size": list(whole.shape), "counts": list(run_lengths(whole))},
        "bbox": [mask.left, mask.top, mask.width, mask.height],
        "area": int(inner.sum()),
    }


def _points(shape: Keypoints, names: list[str]) -> dict[str, Any]:
    known = {point.name: point for point in shape.points}
    flat: list[float] = []
    for name in names:
        point = known.get(name)
        flat += [point.x, point.y, point.visibility] if point else [0, 0, 0]
    box = shape.box
    sides = [box.left, box.top, box.width, box.height] if box else [0, 0, 0, 0]
    visible = sum(point.visibility > 0 for point in shape.points)
    return {"keypoints": flat, "num_keypoints": visible, "bbox": sides, "area": sides[2] * sides[3]}
