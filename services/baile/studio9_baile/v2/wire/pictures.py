"""Pictures and their tags."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from studio9_baile.models.pictures import Album, LabelMode
from studio9_baile.usecases.pictures import Seen
from studio9_baile.usecases.shapes import GivenTag, area
from studio9_baile.v2.wire.base import Answer, Body, Number
from studio9_task.shapes import Shape


class Area(Answer):
    """Whole pixels of the upright picture."""

    top: int
    left: int
    height: int
    width: int


class TagAnswer(Answer):
    label: str
    area: Area | None = None
    confidence: float | None = None


class PictureAnswer(Answer):
    id: str
    albumId: str
    filepath: str
    filename: str
    filesize: int
    caption: str | None = None
    predictedCaption: str | None = None
    tags: list[TagAnswer]
    predictedTags: list[TagAnswer]
    originalPictureId: str | None = None
    augmentationsApplied: list[dict[str, Any]] | None = None

    @classmethod
    def of(cls, album: Album, seen: Seen) -> "PictureAnswer":
        picture = seen.picture
        boxes = album.label_mode is LabelMode.LOCALIZATION
        size = (picture.width, picture.height)

        def tag(label: str, shape: Shape, confidence: float | None = None) -> TagAnswer:
            # The UI reads the area of every tag of such an album, so a label without a place gets the whole picture.
            place = Area(**area(shape, *size)) if boxes else None
            return TagAnswer(label=label, area=place, confidence=confidence)

        return cls(
            id=picture.id,
            albumId=picture.album,
            filepath=seen.url,
            filename=picture.filename,
            filesize=picture.size,
            caption=picture.caption,
            predictedCaption=picture.predicted_caption,
            tags=[tag(shape.label, shape) for shape in seen.shapes],
            predictedTags=[tag(shape.label, shape, confidence) for shape, confidence in seen.predicted],
            originalPictureId=picture.original,
            augmentationsApplied=_shown(picture.augmentations),
        )


def _shown(applied: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """The UI lists the names of `extraParams`, but looks for their values beside it."""
    return None if applied is None else [{**one.get("extraParams", {}), **one} for one in applied]


class AreaBody(Body):
    top: Number
    left: Number
    height: Number
    width: Number


def _unplaced(value: Any) -> Any:
    """The UI's form sends four nulls for a label that has no place."""
    return None if isinstance(value, dict) and value and all(one is None for one in value.values()) else value


class TagBody(Body):
    label: str
    area: Annotated[AreaBody | None, BeforeValidator(_unplaced)] = None

    def given(self) -> GivenTag:
        if self.area is None:
            return GivenTag(self.label)
        return GivenTag(self.label, self.area.left, self.area.top, self.area.width, self.area.height)


class PictureBody(Body):
    caption: str | None = None
    tags: list[TagBody] | None = Field(default=None, max_length=10_000)
