"""Albums."""

from typing import Any

from pydantic import Field

from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType, LabelMode
from studio9_baile.v2.wire.base import Answer, Body, Moment, Whole
from studio9_baile.v2.wire.pictures import TagBody
from studio9_baile.v2.wire.results import AugmentationTimes


class Video(Answer):
    filepath: str
    filename: str
    filesize: int


class AlbumAnswer(Answer):
    id: str
    ownerId: str
    name: str
    created: Moment
    updated: Moment
    status: AlbumStatus
    inLibrary: bool
    type: AlbumType
    locked: bool = False
    labelMode: LabelMode
    video: Video | None = None
    description: str | None = None
    augmentationTimeSpentSummary: AugmentationTimes | None = None

    @classmethod
    def of(cls, album: Album, video_url: str | None = None) -> "AlbumAnswer":
        """`video_url`: where its video is, if it has one."""
        video = None
        if album.video is not None and video_url is not None:
            video = Video(filepath=video_url, filename=album.video["filename"], filesize=album.video["size"])
        return cls(
            id=album.id,
            ownerId=album.owner,
            name=album.name,
            created=album.created_at,
            updated=album.updated_at,
            status=album.status,
            inLibrary=album.in_library,
            type=album.type,
            labelMode=album.label_mode,
            video=video,
            description=album.description,
            augmentationTimeSpentSummary=None if album.times is None else AugmentationTimes(**album.times),
        )


class NewAlbumBody(Body):
    name: str | None = None
    labelMode: LabelMode
    copyPicturesFrom: list[str] | None = Field(default=None, max_length=1_000)
    copyOnlyLabelledPictures: bool | None = None
    description: str | None = None


class AlbumBody(Body):
    name: str | None = None
    labelMode: LabelMode | None = None
    description: str | None = None


class CopyBody(Body):
    pictureIds: list[str] | None = Field(default=None, max_length=100_000)
    name: str | None = None
    description: str | None = None
    copyOnlyLabelledPictures: bool | None = None


class AugmentBody(Body):
    outputName: str | None = None
    includeOriginalPictures: bool | None = None
    bloatFactor: Whole = 1
    augmentations: list[dict[str, Any]] = Field(max_length=100)


class RegisteredBody(Body):
    filepath: str
    filename: str
    filesize: Whole | None = None
    caption: str | None = None
    tags: list[TagBody] | None = Field(default=None, max_length=10_000)


class RegisterBody(Body):
    pictureMetaList: list[RegisteredBody] = Field(max_length=10_000)
    keepExisting: bool = True


class SaveBody(Body):
    name: str | None = None
    description: str | None = None


class LabelCount(Answer):
    label: str
    count: int
