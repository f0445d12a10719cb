"""Reading COCO: one JSON file of pictures, categories and annotations beside the picture files.

Boxes, outlines, masks (run lengths, also as compressed text), keypoints and crowds; an outline in several parts becomes
one shape each. Fields of our own (`split`, `group`, `label_revision`; `z`, `source`, `rotated`) come back where they
were written.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box, Keypoint, Keypoints, Mask, Polygon, RotatedBox, Shape
from studio9_trainers.data.class_map import ClassMap, UnknownClass
from studio9_trainers.data.collection import Collection, Sample, found
from studio9_trainers.data.compressed import uncompressed
from studio9_trainers.data.findings import Finding
from studio9_trainers.data.masks import mask_of
from studio9_trainers.errors import BadInput

KEPT = ("split", "group", "label_revision")
"""Fields of a picture's record that COCO has no place for."""


def read_coco(file: Path, pictures: Path | None = None) -> Collection:
    """Read an annotation file; the pictures lie in `pictures`, or beside it, or in `images/` there.

    Raises BadInput where the file is no COCO file; what is wrong with single entries is told as findings.
    """
    whole = _load(file)
    folder = pictures or (file.parent / "images" if (file.parent / "images").is_dir() else file.parent)
    findings: list[Finding] = []
    try:
        categories = {one["id"]: one for one in whole["categories"]}
        classes = ClassMap({int(key): str(one["name"]) for key, one in categories.items()})
        shapes: dict[Any, list[Shape]] = {one["id"]: [] for one in whole["images"]}
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{file.name}: a category or an image lacks its {error}: correct it.") from None
    for at, one in enumerate(whole["annotations"]):
        try:
            _known(one, shapes, classes)
            shapes[one["image_id"]] += _shapes(one, categories[one["category_id"]])
        except UnknownClass as error:
            field = f"annotations[{at}].category_id"
            findings.append(Finding("error", "unknown_class", str(error), error.fix, file.name, field=field))
        except (BadInput, ValueError, KeyError, TypeError, IndexError) as error:
            message = f"{error} is missing" if isinstance(error, KeyError) else str(error).splitlines()[0]
            field = f"annotations[{at}]"
            findings.append(Finding("error", "bad_label", message, "correct the entry", file.name, field=field))
    samples = []
    for at, one in enumerate(whole["images"]):
        sample = _picture(folder, one, at, file.name, findings)
        if sample is not None:
            own = {key: one[key] for key in KEPT if one.get(key) is not None}
            facts = sample.record.model_dump() | own
            record = PictureRecord.model_validate(facts).model_copy(update={"annotations": tuple(shapes[one["id"]])})
            samples.append(Sample(sample.path, record))
    return Collection(tuple(samples), classes, tuple(findings))


def _load(file: Path) -> dict[str, Any]:
    try:
        whole = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{file.name} can't be read ({error.strerror}): give COCO's annotation file.") from None
    except ValueError:
        raise BadInput(f"{file.name} is no JSON: give COCO's annotation file.") from None
    for field in ("images", "annotations", "categories"):
        if not isinstance(whole, dict) or not isinstance(whole.get(field), list):
            raise BadInput(f"{file.name}, {field}: it is no list: give COCO's annotation file.")
    return dict(whole)


def _picture(folder: Path, one: Mapping[str, Any], at: int, file: str, findings: list[Finding]) -> Sample | None:
    name = str(one.get("file_name", ""))
    path = Path(name)
    if not name or path.is_absolute() or ".." in path.parts:
        field = f"images[{at}].file_name"
        findings.append(
            Finding("error", "bad_name", f"{name!r} leaves the folder", "use a plain name", file, field=field)
        )
        return None
    sample = found(folder / path, name, findings)
    if sample is None:
        return None
    size = (one.get("width"), one.get("height"))
    if None not in size and size != (sample.record.width, sample.record.height):
        message = f"{size[0]} x {size[1]} is told, the upright file has {sample.record.width} x {sample.record.height}"
        fix = "correct it, and the labels if they are not of the upright picture"
        findings.append(Finding("error", "wrong_size", message, fix, file, field=f"images[{at}].width"))
    return sample


def _known(one: Mapping[str, Any], images: Mapping[Any, Any], classes: ClassMap) -> None:
    if one["image_id"] not in images:
        raise ValueError(f"image_id {one['image_id']!r} is not among the images")
    if one["category_id"] not in classes.labels:
        raise UnknownClass(one["category_id"], classes.labels, "categories")


def _shapes(one: Mapping[str, Any], category: Mapping[str, Any]) -> Iterator[Shape]:
    marked: dict[str, Any] = {"label": str(category["name"]), "ignore": bool(one.get("iscrowd", 0))}
    marked |= {key: one[key] for key in ("z", "source") if key in one}
    outline = one.get("segmentation")
    if one.get("keypoints"):
        yield _points(one, category, marked)
    elif "rotated" in one:
        names = ("centre_x", "centre_y", "width", "height", "angle")
        yield RotatedBox(**dict(zip(names, one["rotated"], strict=True)), **marked)
    elif isinstance(outline, dict):
        yield _mask(outline, marked)
    elif outline:
        for ring in outline:
            if len(ring) < 6 or len(ring) % 2:
                raise ValueError(f"an outline of {len(ring)} numbers: it takes pairs of at least three points")
            yield Polygon(points=tuple(zip(ring[::2], ring[1::2], strict=True)), **marked)
    else:
        yield _box(one["bbox"], marked)


def _box(sides: Any, marked: Mapping[str, Any]) -> Box:
    left, top, width, height = (float(value) for value in sides)
    if width <= 0 or height <= 0:
        raise ValueError(f"a box of {width:g} x {height:g} has no area")
    return Box(left=left, top=top, width=width, height=height, **marked)


def _mask(outline: Mapping[str, Any], marked: Mapping[str, Any]) -> Mask:
    height, width = outline["size"]
    counts = outline["counts"]
    runs = uncompressed(counts) if isinstance(counts, str) else tuple(int(run) for run in counts)
    if min(runs, default=0) < 0 or sum(runs) != width * height:
        raise ValueError(f"the mask's runs hold {sum(runs)} pixels, its size {width} x {height}")
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
    mask = mask_of(pixels, Mask(left=0, top=0, width=1, height=1, counts=(1,), **marked))
    if mask is None:
        raise ValueError("the mask is empty")
    return mask


def _points(one: Mapping[str, Any], category: Mapping[str, Any], marked: Mapping[str, Any]) -> Keypoints:
    flat = one["keypoints"]
    names = category.get("keypoints") or [str(at) for at in range(len(flat) // 3)]
    if len(flat) != 3 * len(names):
        raise ValueError(f"{len(flat)} numbers for {len(names)} keypoints: it takes three each")
    points = tuple(
        Keypoint(name=name, x=x, y=y, visibility=visibility)
        for name, x, y, visibility in zip(names, flat[::3], flat[1::3], flat[2::3], strict=True)
    )
    sides = one.get("bbox") or (0, 0, 0, 0)
    return Keypoints(points=points, box=_box(sides, marked) if sides[2] > 0 and sides[3] > 0 else None, **marked)
