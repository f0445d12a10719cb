"""Albums, pictures, label revisions and predicted shapes."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Select,
    Text,
    and_,
    asc,
    bindparam,
    cast,
    desc,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.orm import defer

from studio9_baile.models.pictures import (
    Album,
    LabelImport,
    LabelRevision,
    Picture,
    PictureLabel,
    PredictedShape,
)
from studio9_baile.models.runs import Deployment, Experiment, Prediction
from studio9_baile.repositories.base import CHUNK, AssetRepository, Repository, Slice, for_cursors
from studio9_baile.repositories.paging import Page, like
from studio9_baile.repositories.tallies import Tallies

TEXTS_AT_ONCE = 10
"""Texts of a megabyte or so that come in between two turns of the event loop."""


@dataclass(frozen=True, slots=True)
class PredictedRow:
    """A predicted shape with its picture; shape and scores as JSON text."""

    filename: str
    width: int
    height: int
    shape: str
    label: str
    confidence: float
    scores: str | None
    picture: str
    index: int


def _uses() -> Select[bool]:
    """Whether an album is used; made once. An id is part of no pattern and of no other id."""
    organisation: BindParameter[str] = bindparam("organisation")
    album: BindParameter[str] = bindparam("album")
    mark: BindParameter[str] = bindparam("mark")
    return select(
        or_(
            exists().where(
                Prediction.organisation == organisation, or_(Prediction.input == album, Prediction.output == album)
            ),
            exists().where(Deployment.organisation == organisation, Deployment.output == album),
            exists().where(
                Experiment.organisation == organisation,
                or_(cast(Experiment.pipeline, Text).like(mark), cast(Experiment.result, Text).like(mark)),
            ),
        )
    )


_IN_USE = _uses()


class Albums(AssetRepository[Album]):
    """Albums."""

    row = Album
    missing = "Album not found"

    async def in_use(self, album: str) -> bool:
        """Whether an experiment, a prediction or a deployment uses an album. (Ids occur nowhere by chance.)"""
        wanted = {"organisation": self.organisation, "album": album, "mark": f'%"{album}"%'}
        return bool(await self._session.scalar(_IN_USE, wanted))

    async def videos(self, keys: Collection[str]) -> set[str]:
        """Those of the keys under which albums keep their videos."""
        key = Album.video["key"].as_string()
        return set(await self._session.scalars(select(key).where(self.mine, Album.video.is_not(None), key.in_(keys))))

    async def video_bytes(self) -> int:
        """Bytes of all albums' videos."""
        size = cast(Album.video["size"].as_string(), BigInteger)  # as_integer() ends at 2 GiB in PostgreSQL
        total = func.sum(size)
        return int(await self._session.scalar(select(total).where(self.mine, Album.video.is_not(None))) or 0)


class Pictures(Repository[Picture]):
    """Pictures."""

    row = Picture
    missing = "Picture not found"

    async def page(
        self,
        album: str,
        page: Page,
        *,
        labels: Sequence[str] | None = None,
        origins: Collection[bool] = (),
        augmentations: Sequence[str] | None = None,
    ) -> tuple[list[Picture], int]:
        """Pictures of an album. `labels`: with any of these (empty text: with none); `origins` says whether predicted
        (True) or given (False) labels count. `augmentations` likewise, by type."""
        where = [Picture.album == album]
        if page.search:
            where.append(like(Picture.filename, page.search))
        if labels is not None:
            where.append(self._labelled(labels, origins))
        if augmentations is not None:
            where.append(self._augmented(augmentations))
        columns = {
            "fileName": Picture.filename, "fileSize": Picture.size, "caption": Picture.caption,
            "predictedCaption": Picture.predicted_caption, "tags.label": self._first_label(False),
            "predictedTags.label": self._first_label(True), "predictedTags.confidence": Picture.confidence,
        }  # fmt: skip
        total = None
        if not page.search and augmentations is None:
            total = await self._tallied(album, labels, origins)
        if total is None:
            total = await self.count(*where)
        return await self._page(where, page, columns, total), total

    async def _tallied(self, album: str, labels: Sequence[str] | None, origins: Collection[bool]) -> int | None:
        """How many pictures there are, where that is known without counting: all, or those with (or without any) label
        of one origin."""
        tallies = Tallies(self._session, self.organisation, self._now)
        if labels is None:
            return await tallies.pictures(album)
        if len(set(labels)) != 1 or len(origins) != 1:
            return None
        (predicted,) = origins
        if labels[0]:
            return await tallies.with_label(album, predicted, labels[0])
        return await tallies.pictures(album) - await tallies.labelled(album, predicted)

    async def _page(
        self, where: Sequence[ColumnElement[bool]], page: Page, columns: Mapping[str, Any], total: int
    ) -> list[Picture]:
        """Only ids are sorted and skipped, from the nearer end: an index has them."""
        size = min(page.size, total - page.offset)
        if size <= 0:
            return []
        backwards = page.offset > total // 2
        order = (*page.sorted(columns, backwards=backwards), desc(Picture.id) if backwards else asc(Picture.id))
        offset = total - page.offset - size if backwards else page.offset
        statement = select(Picture.id).where(self.mine, *where).order_by(*order).offset(offset).limit(size)
        ids = list(await self._session.scalars(statement))
        found = await self.many(ids)
        return [found[one] for one in (reversed(ids) if backwards else ids) if one in found]

    def _labels_of_picture(self, origins: Collection[bool]) -> ColumnElement[bool]:
        return and_(
            PictureLabel.organisation == self.organisation,
            PictureLabel.picture == Picture.id,
            PictureLabel.predicted.in_(origins),
        )

    def _labelled(self, labels: Sequence[str], origins: Collection[bool]) -> ColumnElement[bool]:
        named = [label for label in labels if label]
        any_of: list[ColumnElement[bool]] = []
        if named:
            any_of.append(exists().where(self._labels_of_picture(origins), PictureLabel.label.in_(named)))
        if len(named) < len(labels):
            any_of.append(~exists().where(self._labels_of_picture(origins)))
        return or_(*any_of)

    def _augmented(self, types: Sequence[str]) -> ColumnElement[bool]:
        any_of: list[ColumnElement[bool]] = []
        for name in types:
            if name:
                any_of.append(cast(Picture.augmentations, Text).contains(f'"{name}"'))
            else:
                any_of.append(Picture.augmentations.is_(None))
        return or_(*any_of)

    def _first_label(self, predicted: bool) -> ScalarSelect[str]:
        return (
            select(func.min(PictureLabel.label))
            .where(self._labels_of_picture([predicted]))
            .correlate(Picture)
            .scalar_subquery()
        )

    async def of_album(self, album: str, after: str = "", limit: int = CHUNK) -> list[Picture]:
        """The next pictures of an album in the order of their ids."""
        statement = self.select(Picture.album == album, Picture.id > after).order_by(Picture.id).limit(limit)
        return await self.rows(statement, at_most=limit)

    async def every(self, album: str) -> AsyncIterator[list[Picture]]:
        """All pictures of an album, in chunks."""
        after = ""
        while chunk := await self.of_album(album, after):
            yield chunk
            after = chunk[-1].id

    async def by_filename(self, album: str, names: Collection[str]) -> dict[str, list[Picture]]:
        """The pictures of an album with these names; several may share one."""
        found: dict[str, list[Picture]] = {}
        wanted = list(names)
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            statement = self.select(Picture.album == album, Picture.filename.in_(chunk)).order_by(Picture.id)
            for picture in await self.rows(statement):
                found.setdefault(picture.filename, []).append(picture)
        return found

    async def stored(self, hashes: Collection[str]) -> set[str]:
        """Those of these hashes, at most CHUNK, that a picture has."""
        return set(await self._session.scalars(select(Picture.sha256).where(self.mine, Picture.sha256.in_(hashes))))

    async def by_source(self, album: str, sources: Collection[str]) -> dict[str, Picture]:
        """The pictures of a result album, by what the result calls them; at most CHUNK."""
        rows = await self._session.scalars(self.select(Picture.album == album, Picture.source.in_(sources)))
        return {row.source: row for row in rows if row.source is not None}


class LabelRevisions(Repository[LabelRevision]):
    """Label revisions: appended, never changed."""

    row = LabelRevision
    missing = "Label revision not found"

    async def head(self, identifier: str) -> LabelRevision | None:
        """A revision without its shapes, which may be a megabyte."""
        statement = self.select(LabelRevision.id == identifier).options(defer(LabelRevision.shapes))
        return await self._session.scalar(statement)

    async def heads(self, picture: str, wanted: Slice) -> list[LabelRevision]:
        """A picture's revisions without their shapes, newest first."""
        statement = self.select(LabelRevision.picture == picture).options(defer(LabelRevision.shapes))
        statement = statement.order_by(LabelRevision.id.desc()).limit(wanted.limit)
        return await self.rows(
            statement if wanted.before is None else statement.where(LabelRevision.id < wanted.before)
        )

    async def last_numbers(self, pictures: Collection[str]) -> dict[str, int]:
        """The highest number per picture, 0 where there is none."""
        numbers = dict.fromkeys(pictures, 0)
        wanted = list(numbers)
        for start in range(0, len(wanted), CHUNK):
            statement = (
                select(LabelRevision.picture, func.max(LabelRevision.number))
                .where(self.mine, LabelRevision.picture.in_(wanted[start : start + CHUNK]))
                .group_by(LabelRevision.picture)
            )
            for picture, number in await self._session.execute(statement):
                numbers[picture] = number
        return numbers

    async def texts(self, identifiers: Collection[str]) -> dict[str, str]:
        """The shapes of revisions as JSON text, by revision: reading them is left to a thread."""
        found: dict[str, str] = {}
        wanted = list(identifiers)
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            statement = select(LabelRevision.id, cast(LabelRevision.shapes, Text))
            session = await for_cursors(self._session)
            result = await session.stream(
                statement.where(self.mine, LabelRevision.id.in_(chunk)), execution_options={"yield_per": TEXTS_AT_ONCE}
            )
            async for part in result.partitions():
                found.update({row[0]: row[1] for row in part})
        return found


class PictureLabels(Repository[PictureLabel]):
    """Which labels are on which pictures now."""

    row = PictureLabel

    async def replace(self, rows: Iterable[PictureLabel], pictures: Collection[str], *, predicted: bool) -> None:
        """The labels of these pictures (at most CHUNK) are `rows` from now on."""
        await self._session.execute(
            self.delete_where(PictureLabel.picture.in_(pictures), PictureLabel.predicted.is_(predicted))
        )
        self.add_all(rows)

    async def counts(self, album: str, origins: Collection[bool]) -> list[tuple[str, int]]:
        """Labels of an album and how often they occur, most frequent first."""
        return await Tallies(self._session, self.organisation, self._now).labels(album, origins)

    async def totals(self, pictures: Collection[str]) -> dict[str, int]:
        """How many labels these pictures carry, given and predicted ones, by picture; those without are left out."""
        found: dict[str, int] = {}
        wanted = list(pictures)
        for start in range(0, len(wanted), CHUNK):
            statement = (
                select(PictureLabel.picture, func.sum(PictureLabel.count))
                .where(self.mine, PictureLabel.picture.in_(wanted[start : start + CHUNK]))
                .group_by(PictureLabel.picture)
            )
            found.update({row[0]: int(row[1]) for row in await self._session.execute(statement)})
        return found

    async def unlabelled(self, album: str, origins: Collection[bool]) -> int:
        """How many pictures of an album have no label."""
        if len(origins) == 1:
            tallies = Tallies(self._session, self.organisation, self._now)
            return await tallies.pictures(album) - await tallies.labelled(album, next(iter(origins)))
        labelled = exists().where(
            PictureLabel.organisation == self.organisation,
            PictureLabel.picture == Picture.id,
            PictureLabel.predicted.in_(origins),
        )
        statement = (
            select(func.count())
            .select_from(Picture)
            .where(Picture.organisation == self.organisation, Picture.album == album, ~labelled)
        )
        return await self._session.scalar(statement) or 0


class PredictedShapes(Repository[PredictedShape]):
    """What models have predicted."""

    row = PredictedShape

    async def of(self, pictures: Collection[str]) -> dict[str, list[tuple[str, float]]]:
        """(shape as JSON text, confidence) of these pictures (any number), by picture, in the order of their index."""
        found: dict[str, list[tuple[str, float]]] = {}
        wanted = list(pictures)
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            statement = select(PredictedShape.picture, cast(PredictedShape.shape, Text), PredictedShape.confidence)
            session = await for_cursors(self._session)
            result = await session.stream(
                statement.where(self.mine, PredictedShape.picture.in_(chunk)).order_by(PredictedShape.index),
                execution_options={"yield_per": CHUNK},
            )
            async for part in result.partitions():
                for picture, shape, confidence in part:
                    found.setdefault(picture, []).append((shape, confidence))
        return found

    async def page(
        self, album: str, page: Page, columns: Mapping[str, Any] | None = None
    ) -> tuple[list[PredictedRow], int]:
        """A page of what was predicted on an album's pictures, picture by picture; `columns` are those that it can be
        sorted by besides the file name."""
        where = self._on(album)
        if page.search:
            where.append(like(Picture.filename, page.search))
        count = select(func.count()).select_from(PredictedShape, Picture).where(self.mine, *where)
        total = await self._session.scalar(count)
        order = page.sorted({"filename": Picture.filename, **(columns or {})})
        statement = self._values().where(*where).order_by(*order, Picture.id, PredictedShape.index)
        return await self._found(statement.offset(page.offset).limit(page.size)), total or 0

    async def following(self, album: str, after: PredictedRow | None, limit: int) -> list[PredictedRow]:
        """The next of what was predicted on an album's pictures, picture by picture, whatever comes meanwhile."""
        where = self._on(album)
        if after is not None:
            where.append(Picture.id >= after.picture)  # said apart: an index begins here
            where.append(or_(Picture.id > after.picture, PredictedShape.index > after.index))
        statement = self._values().where(*where).order_by(Picture.id, PredictedShape.index)
        return await self._found(statement.limit(limit))

    def _on(self, album: str) -> list[ColumnElement[bool]]:
        return [Picture.organisation == self.organisation, PredictedShape.picture == Picture.id, Picture.album == album]

    def _values(self) -> Select[*tuple[Any, ...]]:
        return select(
            Picture.filename, Picture.width, Picture.height, cast(PredictedShape.shape, Text), PredictedShape.label,
            PredictedShape.confidence, cast(PredictedShape.scores, Text), Picture.id, PredictedShape.index,
        ).where(self.mine)  # fmt: skip

    async def _found(self, statement: Select[*tuple[Any, ...]]) -> list[PredictedRow]:
        session = await for_cursors(self._session)
        result = await session.stream(statement, execution_options={"yield_per": CHUNK})
        found: list[PredictedRow] = []
        async for part in result.partitions():
            found += [PredictedRow(*row) for row in part]
        return found


class LabelImports(Repository[LabelImport]):
    """Reports of label uploads."""

    row = LabelImport
    missing = "No labels were uploaded to this album yet"

    async def last(self, album: str) -> LabelImport | None:
        statement = self.select(LabelImport.album == album).order_by(LabelImport.id.desc()).limit(1)
        return await self._session.scalar(statement)
