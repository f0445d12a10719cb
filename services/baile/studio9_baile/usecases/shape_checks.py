"""Whether shapes that somebody gives fit their picture: inside it, not empty, in themselves right, and not too many."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from studio9_baile.models.pictures import LabelMode
from studio9_baile.usecases.shapes import MOST, SHAPES, SMALLEST_SIDE, box_problem
from studio9_common.errors import BadInput
from studio9_task.problems import describe, shown
from studio9_task.shapes import Box, Keypoints, Mask, Polygon, RotatedBox, Shape, Tag, Track

MOST_PARTS = 200_000
"""Points, runs and boxes of all shapes of a picture together."""
HIGHEST_Z = 1_000_000


def read_shapes(text: bytes, given: Sequence[Any], mode: LabelMode, width: int, height: int) -> tuple[Shape, ...]:
    """The shapes of a JSON list (`text`, and `given` as it was read) for a picture of this size in pixels. Takes
    milliseconds for a thousand. Raises BadInput, naming the shape: a field that is unknown, missing or of another type,
    a shape outside of the picture, an empty one, one that an album of this mode cannot hold, too many."""
    if len(given) > MOST:
        raise BadInput("Picture has too many shapes", field="shapes", value=len(given), fix=f"give at most {MOST}")
    try:
        shapes = SHAPES.validate_json(text, strict=True)
    except ValidationError as error:
        # The place without the union's name for what it took the shape for.
        where = ".".join(str(part) for part in error.errors()[0]["loc"] if part not in _KINDS)
        raise BadInput(
            f"Shape cannot be used: {describe(error)}", field=f"shapes.{where}".rstrip("."),
            fix="see docs/reference/labels.md for the fields of each kind",
        ) from None  # fmt: skip
    parts = 0
    for number, (shape, raw) in enumerate(zip(shapes, given, strict=True)):
        field = f"shapes.{number}"
        _check_known(shape, raw, field)
        _check_label(shape, field)
        if (mode is LabelMode.CLASSIFICATION) is not isinstance(shape, Tag):
            raise BadInput(
                f"An album for {mode.value.lower()} holds no {shape.kind}", field=f"{field}.kind", value=shape.kind,
                fix="give tags" if mode is LabelMode.CLASSIFICATION else "give shapes that have a place",
            )  # fmt: skip
        for inner, problem in _problems(shape, width, height):
            raise BadInput(f"The {shape.kind} of {shown(shape.label)} cannot be used", field=f"{field}{inner}",
                           fix=problem)  # fmt: skip
        parts += _parts(shape)
        if parts > MOST_PARTS:
            raise BadInput(
                "The picture's shapes have too many points, runs and boxes", field=field,
                fix=f"give at most {MOST_PARTS} in all: leave out points that lie on a straight line",
            )  # fmt: skip
    return shapes


_KINDS = {"tag", "box", "rotated_box", "polygon", "mask", "keypoints", "track"}


def _check_known(model: BaseModel, raw: Any, field: str) -> None:
    """The contract lets readers ignore what they do not know; whoever writes is told of it."""
    if not isinstance(raw, Mapping):
        return
    for name, value in raw.items():
        if name not in type(model).model_fields:
            known = ", ".join(type(model).model_fields)
            raise BadInput("Shape has an unknown field", field=f"{field}.{name[:50]}", fix=f"use {known}")
        own = getattr(model, name)
        if isinstance(own, BaseModel):
            _check_known(own, value, f"{field}.{name}")
        elif isinstance(own, tuple) and isinstance(value, list):
            for number, (one, given) in enumerate(zip(own, value, strict=False)):
                inner, inner_given = (one[1], given[1]) if isinstance(model, Track) else (one, given)
                if isinstance(inner, BaseModel):
                    _check_known(inner, inner_given, f"{field}.{name}.{number}")


def _check_label(shape: Shape, field: str) -> None:
    if shape.label != shape.label.strip() or "\x00" in shape.label or not shape.label:
        raise BadInput(
            "Label is invalid", field=f"{field}.label", value=shown(shape.label), fix="no NUL, no space around it"
        )
    if abs(shape.z) > HIGHEST_Z:
        raise BadInput("z is out of range", field=f"{field}.z", value=shape.z, fix=f"at most {HIGHEST_Z} from 0")


def _problems(shape: Shape, width: int, height: int) -> Iterator[tuple[str, str]]:
    """(place in the shape, what is wrong and how to right it)."""
    match shape:
        case Box():
            problem = box_problem(shape.left, shape.top, shape.width, shape.height, width, height)
            if problem is not None:
                yield "", problem
        case RotatedBox():
            yield from _rotated(shape, width, height)
        case Polygon():
            yield from _polygon(shape, width, height)
        case Mask():
            yield from _mask(shape, width, height)
        case Keypoints():
            yield from _keypoints(shape, width, height)
        case Track():
            yield from _track(shape, width, height)


def _outside(x: float, y: float, width: int, height: int) -> str | None:
    if 0 <= x <= width and 0 <= y <= height:
        return None
    return f"({x:g}, {y:g}) lies outside of the picture of {width} x {height} pixels; keep it inside"


def _rotated(shape: RotatedBox, width: int, height: int) -> Iterator[tuple[str, str]]:
    """Its corners may leave the picture: what is turned at an edge cannot be marked otherwise."""
    problem = _outside(shape.centre_x, shape.centre_y, width, height)
    if problem is not None:
        yield ".centre_x", problem
    longest = 2 * math.hypot(width, height)
    for name, side in (("width", shape.width), ("height", shape.height)):
        if not SMALLEST_SIDE <= side <= longest:
            yield f".{name}", f"it is {side:g} pixels; give {SMALLEST_SIDE:g} to {longest:g}"


def _polygon(shape: Polygon, width: int, height: int) -> Iterator[tuple[str, str]]:
    for number, (x, y) in enumerate(shape.points):
        problem = _outside(x, y, width, height)
        if problem is not None:
            yield f".points.{number}", problem
    pairs = zip(shape.points, (*shape.points[1:], shape.points[0]), strict=True)
    area = abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairs)) / 2
    if area < SMALLEST_SIDE**2:
        yield ".points", f"they enclose {area:g} square pixels; give an outline in order, not a line"


def _mask(shape: Mask, width: int, height: int) -> Iterator[tuple[str, str]]:
    problem = box_problem(shape.left, shape.top, shape.width, shape.height, width, height)
    if problem is not None:
        yield "", problem
    total = sum(shape.counts)
    if total != shape.width * shape.height:
        yield (
            ".counts",
            f"they are of {total} pixels; give {shape.width} x {shape.height} = {shape.width * shape.height}",
        )
    if 0 in shape.counts[1:]:
        yield ".counts", "only the first run may be empty; join the runs beside it"
    if not sum(shape.counts[1::2]):
        yield ".counts", "no pixel is inside; give runs outside and inside by turns, the first outside"


def _keypoints(shape: Keypoints, width: int, height: int) -> Iterator[tuple[str, str]]:
    names = [point.name for point in shape.points]
    for number, point in enumerate(shape.points):
        problem = _outside(point.x, point.y, width, height) if point.visibility else None
        if problem is not None:
            yield f".points.{number}", problem
        if point.name in names[:number]:
            yield f".points.{number}.name", "give each point of an object another name"
    if shape.box is None and not any(point.visibility for point in shape.points):
        yield ".points", "no point is marked; give a box, or leave the object out"
    if shape.box is not None:
        yield from _inner(shape.box, shape.label, ".box", width, height)


def _track(shape: Track, width: int, height: int) -> Iterator[tuple[str, str]]:
    before = -1
    for number, (frame, box) in enumerate(shape.boxes):
        if frame <= before:
            yield f".boxes.{number}.0", "give the frames in their order, each once"
        before = frame
        yield from _inner(box, shape.label, f".boxes.{number}.1", width, height)


def _inner(box: Box, label: str, field: str, width: int, height: int) -> Iterator[tuple[str, str]]:
    if box.label != label:
        yield f"{field}.label", f"give the label of the whole: {shown(label)}"
    problem = box_problem(box.left, box.top, box.width, box.height, width, height)
    if problem is not None:
        yield field, problem


def _parts(shape: Shape) -> int:
    match shape:
        case Polygon(points=points):
            return len(points)
        case Mask(counts=counts):
            return len(counts)
        case Keypoints(points=named):
            return len(named)
        case Track(boxes=boxes):
            return len(boxes)
        case _:
            return 1
