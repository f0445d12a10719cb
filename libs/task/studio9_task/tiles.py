"""How pictures are cut into tiles: one versioned description for ingest, training, prediction, merging and figures."""

from typing import Literal, Self

from pydantic import Field, model_validator

from studio9_task.catalogue import FloatParameter, IntParameter, ParameterDefinition, StringParameter
from studio9_task.model import Contract, Sha256, Versioned
from studio9_task.pictures import PictureRecord


class TileSpec(Versioned):
    """Square tiles of the scaled picture, in rows and columns from its top left.

    `padding` says what happens where the grid leaves the picture: `shift` moves the last row and column back so that
    they end at the border, `none` cuts the tiles off there, `fill` fills them up with the grey `fill`. A picture that
    is smaller than a tile is one tile, as large as itself unless `fill` is chosen.
    """

    size: int = Field(default=640, ge=32, le=8192, description="pixels of a tile's side")
    overlap: int = Field(default=128, ge=0, description="pixels that neighbours share, less than the size")
    padding: Literal["shift", "none", "fill"] = "shift"
    fill: int = Field(default=114, ge=0, le=255)
    scale: float = Field(default=1.0, gt=0, le=8, description="pixels of a tile per pixel of the picture")

    @model_validator(mode="after")
    def _moves_on(self) -> Self:
        if self.overlap >= self.size:
            raise ValueError(f"overlap = {self.overlap}: give less than the size, {self.size}")
        return self

    @property
    def stride(self) -> int:
        """Pixels from one tile to the next."""
        return self.size - self.overlap

    def scaled(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the picture that is cut, in pixels."""
        return max(1, round(width * self.scale)), max(1, round(height * self.scale))

    def along(self, length: int) -> int:
        """How many tiles lie along one side of so many pixels of the scaled picture."""
        return 1 if length <= self.size else -(-(length - self.overlap) // self.stride)

    def tiles_of(self, width: int, height: int) -> int:
        """How many tiles a picture of so many pixels is cut into."""
        across, down = self.scaled(width, height)
        return self.along(across) * self.along(down)


class TileParameters(Contract):
    """Kind `tile`. Input: `pictures`. Outputs: `manifest.jsonl` of TileRecords, their files in `pictures/`."""

    tiles: TileSpec = TileSpec()
    format: Literal["jpeg", "png"] = "jpeg"
    quality: int = Field(default=90, ge=1, le=100, description="JPEG's")
    memory_mib: int = Field(
        default=1024, ge=16, le=65_536, description="for pictures that cannot be read from top to bottom"
    )


class TileRecord(PictureRecord):
    """One line of the manifest that comes out: a tile as a picture of its original's group and split.

    `left` to `bottom` are its pixels in the scaled original; a pixel there is `spec.scale` pixels here.
    """

    source: str = Field(min_length=1, max_length=64, description="picture_id of the original")
    source_sha256: Sha256
    row: int = Field(ge=0)
    column: int = Field(ge=0)
    left: int = Field(ge=0)
    top: int = Field(ge=0)
    right: int = Field(gt=0)
    bottom: int = Field(gt=0)
    scale_x: float = Field(gt=0, description="pixels of the tile per pixel of the original")
    scale_y: float = Field(gt=0)


class Merging(Contract):
    """How the predictions of overlapping tiles become one set of boxes.

    `iou`: intersection over union; `ios`: over the smaller of the two areas, which also finds again what a tile's
    border has cut. `grow` takes into a kept box what belongs to it, `keep` drops that.
    """

    metric: Literal["iou", "ios"] = "ios"
    overlap: float = Field(default=0.5, gt=0, le=1, description="the least overlap of two boxes of one object")
    boxes: Literal["keep", "grow"] = "grow"
    across_labels: bool = Field(default=False, description="whether boxes of different labels are one object's too")


class Sliced(Contract):
    """Prediction tile by tile: how pictures are cut, and how what was found becomes one set of boxes."""

    tiles: TileSpec = TileSpec()
    merging: Merging = Merging()
    whole: bool = Field(default=True, description="look at the whole picture too, for objects larger than the overlap")


PARAMETERS: tuple[ParameterDefinition, ...] = (
    IntParameter(name="size", description="Pixels of a tile's side", defaults=(640,), min=32, max=8192),
    IntParameter(name="overlap", description="Pixels that neighbours share", defaults=(128,), min=0, max=8191),
    StringParameter(
        name="padding",
        description="Where the grid leaves the picture: move back, cut off, fill up",
        options=("shift", "none", "fill"),
        defaults=("shift",),
    ),
    FloatParameter(name="scale", description="Pixels of a tile per pixel of the picture", defaults=(1.0,), max=8.0),
    StringParameter(name="format", description="Of the files", options=("jpeg", "png"), defaults=("jpeg",)),
    IntParameter(name="quality", description="JPEG's", defaults=(90,), min=1, max=100),
)
"""Of kind `tile`, as forms show them."""
