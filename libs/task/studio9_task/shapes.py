"""What can be marked on a picture. Coordinates: float pixels of the upright picture, from its top left."""

from typing import Annotated, Literal

from pydantic import Field

from studio9_task.model import Contract, Label

Positive = Annotated[float, Field(gt=0)]
Point = tuple[float, float]
"""(x, y)."""


class Marked(Contract):
    """What every shape carries."""

    label: Label
    z: int = Field(default=0, description="higher lies in front")
    source: Literal["human", "model", "reviewed"] = "human"
    ignore: bool = Field(default=False, description="a crowd or unsure: neither a hit nor a miss in evaluation")


class Tag(Marked):
    """A label of the whole picture (classification)."""

    kind: Literal["tag"] = "tag"


class Box(Marked):
    """An upright rectangle: left <= x < left + width, top <= y < top + height."""

    kind: Literal["box"] = "box"
    left: float
    top: float
    width: Positive
    height: Positive

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom)."""
        return self.left, self.top, self.left + self.width, self.top + self.height


class RotatedBox(Marked):
    """A rectangle turned about its centre by `angle` degrees, clockwise as seen."""

    kind: Literal["rotated_box"] = "rotated_box"
    centre_x: float
    centre_y: float
    width: Positive
    height: Positive
    angle: float = Field(ge=-360, le=360)


class Polygon(Marked):
    """A closed outline; the last point joins the first."""

    kind: Literal["polygon"] = "polygon"
    points: tuple[Point, ...] = Field(min_length=3, max_length=10_000)


class Mask(Marked):
    """Pixels of a rectangle as run lengths, by columns, the first run outside (COCO's uncompressed RLE)."""

    kind: Literal["mask"] = "mask"
    left: int
    top: int
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    counts: tuple[Annotated[int, Field(ge=0)], ...]


class Keypoint(Contract):
    """A named point; visibility 0 not marked, 1 hidden, 2 visible."""

    name: Label
    x: float
    y: float
    visibility: Literal[0, 1, 2] = 2


class Keypoints(Marked):
    """The points of one object, with its box where that is known."""

    kind: Literal["keypoints"] = "keypoints"
    points: tuple[Keypoint, ...] = Field(min_length=1, max_length=1_000)
    box: Box | None = None


class Track(Marked):
    """One object through the frames of a video."""

    kind: Literal["track"] = "track"
    track: str = Field(min_length=1, max_length=64)
    boxes: tuple[tuple[Annotated[int, Field(ge=0)], Box], ...] = Field(min_length=1, description="(frame, box)")


Shape = Annotated[Tag | Box | RotatedBox | Polygon | Mask | Keypoints | Track, Field(discriminator="kind")]
