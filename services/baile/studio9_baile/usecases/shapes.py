"""Labels between the two worlds: typed shapes inside, tags with an integer area in `/v2.0`."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from studio9_baile.models.base import JsonText
from studio9_baile.models.pictures import LabelMode, Picture, PictureLabel
from studio9_common.errors import BadInput
from studio9_common.ids import new_id
from studio9_task.problems import shown
from studio9_task.shapes import Box, Keypoints, Mask, Polygon, RotatedBox, Shape, Tag, Track

SHAPES: TypeAdapter[tuple[Shape, ...]] = TypeAdapter(tuple[Shape, ...])
SHAPE: TypeAdapter[Shape] = TypeAdapter(Shape)
MOST = 10_000
"""Shapes of one picture."""
LONGEST_LABEL = 500
SMALLEST_SIDE = 0.5
"""Pixels: what is narrower would be drawn, and counted, as something that it is not."""
Corners = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class GivenTag:
    """A tag as a request gives it; pixels of the upright picture."""

    label: str
    left: float | None = None
    top: float | None = None
    width: float | None = None
    height: float | None = None

    @property
    def has_area(self) -> bool:
        return None not in (self.left, self.top, self.width, self.height)


def shapes_of(tags: Sequence[GivenTag], mode: LabelMode, width: int, height: int) -> tuple[Shape, ...]:
    """The shapes of a picture's tags. Raises BadInput, naming the tag: no label, no box, a box outside."""
    if len(tags) > MOST:
        raise BadInput("Picture has too many tags", field="tags", value=len(tags), fix=f"give at most {MOST}")
    return tuple(_shape(tag, f"tags.{number}", mode, width, height) for number, tag in enumerate(tags))


def _shape(tag: GivenTag, field: str, mode: LabelMode, width: int, height: int) -> Shape:
    label = tag.label.strip()
    if not label or len(label) > LONGEST_LABEL or "\x00" in label:
        raise BadInput(
            "Tag label is invalid",
            field=f"{field}.label",
            value=shown(tag.label),
            fix=f"give a text of 1 to {LONGEST_LABEL} characters",
        )
    if mode is LabelMode.CLASSIFICATION:
        return Tag(label=label)
    if not tag.has_area:
        raise BadInput(
            f"Tag {shown(label)} has no box", field=f"{field}.area", fix="give top, left, height and width in pixels"
        )
    assert tag.left is not None and tag.top is not None and tag.width is not None and tag.height is not None
    problem = box_problem(tag.left, tag.top, tag.width, tag.height, width, height)
    if problem is not None:
        raise BadInput(
            f"Box of tag {shown(label)} cannot be used",
            field=f"{field}.area",
            value=f"left {tag.left:g}, top {tag.top:g}, width {tag.width:g}, height {tag.height:g}",
            fix=problem,
        )
    return Box(label=label, left=tag.left, top=tag.top, width=tag.width, height=tag.height)


def box_problem(left: float, top: float, width: float, height: float, of_width: int, of_height: int) -> str | None:
    """What is wrong with a box on a picture of this size, and how to right it."""
    if not all(math.isfinite(value) for value in (left, top, width, height)):
        return "give finite numbers"
    if width <= 0 or height <= 0:
        return f"a box of {width:g} x {height:g} pixels is empty; give a width and a height above 0"
    if width < SMALLEST_SIDE or height < SMALLEST_SIDE:
        return (
            f"a box of {width:g} x {height:g} pixels is too small; "
            f"give a width and a height of at least {SMALLEST_SIDE:g} pixels"
        )
    if left < 0 or top < 0 or left + width > of_width or top + height > of_height:
        return (
            f"it spans {left:g}..{left + width:g} x {top:g}..{top + height:g} "
            f"and leaves the picture of {of_width} x {of_height} pixels; keep it inside"
        )
    return None


def stored(shapes: Iterable[Shape]) -> JsonText:
    """The JSON form of shapes. Takes milliseconds for a thousand."""
    return JsonText(f"[{','.join(shape.model_dump_json(exclude_none=True) for shape in shapes)}]")


def loaded(text: str) -> tuple[Shape, ...]:
    """The shapes of their JSON form. Takes milliseconds for a thousand. Raises BadInput."""
    try:
        return SHAPES.validate_json(text)
    except ValidationError as error:
        raise BadInput("Shapes cannot be read", field="shapes") from error


def bounds(shape: Shape, width: int, height: int) -> Corners:
    """(left, top, right, bottom) of a shape, as far as it is on the picture; of the whole picture for a label without
    a place."""
    match shape:
        case Box():
            return shape.corners
        case RotatedBox():
            turn = math.radians(shape.angle)
            half_w = (abs(shape.width * math.cos(turn)) + abs(shape.height * math.sin(turn))) / 2
            half_h = (abs(shape.width * math.sin(turn)) + abs(shape.height * math.cos(turn))) / 2
            x, y = shape.centre_x, shape.centre_y
            return max(0, x - half_w), max(0, y - half_h), min(width, x + half_w), min(height, y + half_h)
        case Polygon(points=points):
            return _around(points)
        case Mask():
            return shape.left, shape.top, shape.left + shape.width, shape.top + shape.height
        case Keypoints(box=Box() as box):
            return box.corners
        case Keypoints(points=named):
            return _around([(point.x, point.y) for point in named if point.visibility] or [(0, 0), (width, height)])
        case Track(boxes=boxes):
            return boxes[0][1].corners
        case _:
            return 0, 0, width, height


def _around(points: Sequence[tuple[float, float]]) -> Corners:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def area(shape: Shape, width: int, height: int) -> dict[str, int]:
    """The shape's rectangle in whole pixels, at least one of each, as `/v2.0` shows it."""
    left, top, right, bottom = bounds(shape, width, height)
    x, y = min(round(left), width - 1), min(round(top), height - 1)
    return {"left": x, "top": y, "width": max(1, round(right) - x), "height": max(1, round(bottom) - y)}


def keep_places(given: Sequence[Shape], before: Sequence[Shape], width: int, height: int) -> tuple[Shape, ...]:
    """What was not a box and comes back as the box that `/v2.0` shows of it stays what it was. Takes milliseconds for
    a thousand."""
    known: dict[tuple[str, Any], list[Shape]] = {}
    for shape in reversed(before):
        if not isinstance(shape, Box | Tag):
            known.setdefault((shape.label, tuple(area(shape, width, height).values())), []).append(shape)
    if not known:
        return tuple(given)
    kept = []
    for one in given:
        same = known.get((one.label, tuple(area(one, width, height).values())))
        kept.append(same.pop() if same else one)
    return tuple(kept)


def label_rows(picture: Picture, labels: Iterable[str], *, predicted: bool) -> list[PictureLabel]:
    """What filters and counts read of a picture's labels."""
    return [
        PictureLabel(
            id=new_id(),
            organisation=picture.organisation,
            created_at=picture.created_at,
            picture=picture.id,
            album=picture.album,
            predicted=predicted,
            label=label,
            count=count,
        )
        for label, count in Counter(labels).items()
    ]
