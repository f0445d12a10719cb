"""Albums, pictures, their labels as revisions of shapes, and what models have predicted on them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Asset, JsonText, Scoped, digest, in_library, json_type, reference

FRAME = "frame:"
"""What the source of a frame of a video begins with; its number follows."""


class AlbumStatus(StrEnum):
    """SAVING and UPLOADING albums are being filled."""

    ACTIVE = "ACTIVE"
    SAVING = "SAVING"
    UPLOADING = "UPLOADING"
    ERROR = "ERROR"


class AlbumType(StrEnum):
    """SOURCE albums are the user's own; the other two hold results: of a prediction, of a training or evaluation."""

    SOURCE = "SOURCE"
    DERIVED = "DERIVED"
    TRAINRESULTS = "TRAINRESULTS"


class LabelMode(StrEnum):
    """Whether pictures carry labels as a whole or boxes."""

    CLASSIFICATION = "CLASSIFICATION"
    LOCALIZATION = "LOCALIZATION"


class Album(Asset):
    """A set of pictures with one label mode. `job` is the job that made it, if one did."""

    __tablename__ = "albums"
    __table_args__ = (in_library("uq_albums_name", "organisation", "owner", "name"),)

    status: Mapped[AlbumStatus]
    type: Mapped[AlbumType]
    label_mode: Mapped[LabelMode]
    in_library: Mapped[bool]
    job: Mapped[str | None]
    video: Mapped[dict[str, Any] | None]
    """The video that its pictures are frames of: key, profile, filename, size, and of one that was brought in `rate`,
    its frames a second, and `every`: each so-many-th of them is a picture. Of results: what was predicted on it."""
    times: Mapped[dict[str, Any] | None]
    """Where the time of the job went that made it, if it is an augmentation."""


class Picture(Scoped):
    """A picture of an album. Its bytes are an object named by their hash, so copies share them.

    Width and height are pixels of the upright picture. `original` is the picture that this one was made from.
    `source` is what a job's result calls it; with the album it is unique, so that a result is written once.
    """

    __tablename__ = "pictures"
    __table_args__ = (
        UniqueConstraint("album", "source"),
        Index("ix_pictures_album_filename", "album", "filename", "id", "organisation"),
        Index("ix_pictures_album_id", "album", "id", "organisation"),
    )

    album: Mapped[str] = mapped_column(reference("albums.id", cascade=True))
    sha256: Mapped[str] = mapped_column(index=True)
    key: Mapped[str]
    profile: Mapped[str]
    content_type: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int]
    height: Mapped[int]
    filename: Mapped[str]
    caption: Mapped[str | None]
    predicted_caption: Mapped[str | None]
    original: Mapped[str | None]
    source: Mapped[str | None]
    augmentations: Mapped[list[Any] | None]
    label_revision: Mapped[str | None]
    confidence: Mapped[float | None]
    """The highest confidence among its predicted shapes."""

    @property
    def frame(self) -> int | None:
        """Its number in the album's video, from 0, if it was taken from one."""
        number = (self.source or "").removeprefix(FRAME)
        return int(number) if number != self.source and number.isdecimal() else None

    @property
    def made_from(self) -> str | None:
        """The picture that a copy of it is to name as its original: its own, and for a frame itself, as a copy is not
        in the video's album."""
        return self.original or (None if self.frame is None else self.id)

    @property
    def tag(self) -> str:
        return ".".join(self._parts.values())

    def changed_since(self, tag: str) -> list[str]:
        before = dict(zip(self._parts, tag.split("."), strict=False))
        return [name for name, part in self._parts.items() if before.get(name) != part]

    @property
    def _parts(self) -> dict[str, str]:
        """What people edit of it: its labels have revisions of their own."""
        return {"labels": self.label_revision or "0", "caption": digest(self.caption)}


class LabelRevision(Scoped):
    """One immutable version of a picture's shapes (studio9_task.shapes); a new one is appended, none is changed.

    There is no foreign key to the picture: a dataset version may still name the revision when the picture is gone.
    """

    __tablename__ = "label_revisions"
    __table_args__ = (UniqueConstraint("picture", "number"),)

    picture: Mapped[str]
    number: Mapped[int]
    shapes: Mapped[list[Any] | JsonText] = mapped_column(json_type())
    source: Mapped[str]
    author: Mapped[str | None]
    job: Mapped[str | None]


class PictureLabel(Scoped):
    """How often a label is on a picture now; what filters and counts read. `predicted` ones come from a model."""

    __tablename__ = "picture_labels"
    __table_args__ = (
        UniqueConstraint("picture", "predicted", "label"),
        Index("ix_picture_labels_album_label", "album", "predicted", "label"),
    )

    picture: Mapped[str] = mapped_column(reference("pictures.id", cascade=True))
    album: Mapped[str] = mapped_column(reference("albums.id", cascade=True))
    predicted: Mapped[bool]
    label: Mapped[str]
    count: Mapped[int]


class Tally(Scoped):
    """A change of how many pictures and shapes an album has; the sum of all is how many there are. Triggers add them,
    whoever changes the rows; several of one album are made into one in the background. (One row that is changed would
    make uploads to one album wait for each other.)

    `what`: `picture` (all pictures), `labelled` (those with any label), `label` (those with this label), `file` (files
    of a file set, counted as `pictures`), `tile` (of dataset versions; of no album). The first and the last two have
    `bytes`; those of tiles are no trigger's, but noted by who makes or deletes a dataset version.
    """

    __tablename__ = "tallies"
    __table_args__ = (
        Index("ix_tallies_album", "album", "what", "predicted", "label"),
        Index(
            "ix_tallies_usage",
            "organisation",
            "what",
            sqlite_where=text("what IN ('picture', 'file', 'tile')"),
            postgresql_where=text("what IN ('picture', 'file', 'tile')"),
        ),
    )

    album: Mapped[str]
    """No foreign key: what an album takes with it is counted, too. Of files, their set."""
    what: Mapped[str]
    predicted: Mapped[bool]
    label: Mapped[str]
    pictures: Mapped[int] = mapped_column(BigInteger)
    shapes: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")


class PredictedShape(Scoped):
    """A shape that a model version predicted on a picture. `prediction` is the id of the prediction table; it is
    unique on a picture (two pictures of an album may have the same bytes, and so the same predictions)."""

    __tablename__ = "predicted_shapes"
    __table_args__ = (UniqueConstraint("picture", "prediction"),)

    prediction: Mapped[str] = mapped_column(index=True)
    picture: Mapped[str] = mapped_column(reference("pictures.id", cascade=True))
    index: Mapped[int]
    label: Mapped[str]
    confidence: Mapped[float]
    shape: Mapped[dict[str, Any]]
    scores: Mapped[dict[str, Any] | None]
    model_version: Mapped[str] = mapped_column(index=True)
    job: Mapped[str]


class LabelImport(Scoped):
    """What became of an upload of labels: rows used and rows skipped, each with its reason."""

    __tablename__ = "label_imports"

    album: Mapped[str] = mapped_column(reference("albums.id", cascade=True), index=True)
    author: Mapped[str]
    report: Mapped[dict[str, Any]]
    finished_at: Mapped[datetime]
