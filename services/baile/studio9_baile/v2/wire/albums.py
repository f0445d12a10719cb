"""Albums."""

from pydantic import Field

from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType, LabelMode
from studio9_baile.v2.wire.base import Answer, Body, Moment


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
    description: str | None = None

    @classmethod
    def of(cls, album: Album) -> "AlbumAnswer":
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
            description=album.description,
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


class SaveBody(Body):
    name: str | None = None
    description: str | None = None


class LabelCount(Answer):
    label: str
    count: int
