"""A picture's labels as `/v1` reads and writes them: all kinds of shapes, each change a revision that is kept."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.pictures import Album, LabelRevision, Picture
from studio9_baile.repositories.base import Slice
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.access import check_read
from studio9_baile.usecases.albums import editable
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.revisions import revise
from studio9_baile.usecases.shape_checks import read_shapes
from studio9_common.errors import BadInput, NotFound


@dataclass(frozen=True, slots=True)
class Labels:
    """A picture with one revision of its labels (None: it never had any), `shapes` as JSON text."""

    picture: Picture
    revision: LabelRevision | None
    shapes: str


async def get_labels(core: Core, caller: Caller, album: str, picture: str) -> Labels:
    """The labels that a picture has now. Raises NotFound, AccessDenied."""
    async with core.database.read(caller.organisation) as work:
        found = await _picture(work, caller, album, picture)
        return await _labels(work, found, found.label_revision)


async def put_labels(core: Core, caller: Caller, album: str, picture: str, given: Sequence[Any]) -> Labels:
    """Makes `given` (JSON) a picture's labels, as a new revision. Raises NotFound, AccessDenied, AlbumLocked, BadInput;
    then nothing is changed."""
    async with core.database.read(caller.organisation) as work:
        mode, size = await _target(work, caller, album, picture)
    shapes = await asyncio.to_thread(lambda: read_shapes(json.dumps(given).encode(), given, mode.label_mode, *size))
    async with core.database.write(caller.organisation) as work:
        where, _ = await _target(work, caller, album, picture)
        if where.label_mode is not mode.label_mode:
            raise BadInput("The album's label mode has changed", field="label_mode", fix="read it again")
        row = await work.pictures.get(picture, lock=True)
        await revise(work, [row], {row.id: shapes}, source="human", author=caller.user)
        changed(work, Kind.ALBUM, album, "labelled", by=caller)
        await work.flush()
        return await _labels(work, row, row.label_revision)


async def list_revisions(
    core: Core, caller: Caller, album: str, picture: str, wanted: Slice
) -> Sequence[LabelRevision]:
    """The revisions of a picture's labels, newest first, without their shapes. Raises NotFound, AccessDenied."""
    async with core.database.read(caller.organisation) as work:
        found = await _picture(work, caller, album, picture)
        return await work.revisions.heads(found.id, wanted)


async def get_revision(core: Core, caller: Caller, album: str, picture: str, revision: str) -> Labels:
    """The labels that a picture had. Raises NotFound, AccessDenied."""
    async with core.database.read(caller.organisation) as work:
        found = await _picture(work, caller, album, picture)
        labels = await _labels(work, found, revision)
        if labels.revision is None or labels.revision.picture != found.id:
            raise NotFound(work.revisions.missing)
        return labels


async def _picture(work: Work, caller: Caller, album: str, picture: str) -> Picture:
    where = await work.albums.get(album)
    await check_read(work, caller, Kind.ALBUM, where)
    return _of(work, where, await work.pictures.get(picture))


def _of(work: Work, album: Album, picture: Picture) -> Picture:
    if picture.album != album.id:
        raise NotFound(work.pictures.missing)
    return picture


async def _target(work: Work, caller: Caller, album: str, picture: str) -> tuple[Album, tuple[int, int]]:
    """The album and the picture's size in pixels, if the caller may label it."""
    where = await editable(work, caller, album)
    found = _of(work, where, await work.pictures.get(picture))
    return where, (found.width, found.height)


async def _labels(work: Work, picture: Picture, revision: str | None) -> Labels:
    row = await work.revisions.head(revision) if revision else None
    texts = await work.revisions.texts([row.id]) if row else {}
    return Labels(picture, row, texts[row.id] if row else "[]")
