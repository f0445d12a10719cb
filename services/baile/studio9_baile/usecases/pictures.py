"""Pictures of an album: uploaded, listed, labelled, deleted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.models.pictures import Album, AlbumType, Picture
from studio9_baile.repositories.paging import Page
from studio9_baile.repositories.work import Work
from studio9_baile.security.decoder import Decoded
from studio9_baile.security.names import file_name, text
from studio9_baile.together import Item, Result
from studio9_baile.usecases.access import check_read
from studio9_baile.usecases.albums import editable, fillable
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.keeping import keep
from studio9_baile.usecases.quotas import QuotaReached, check_room
from studio9_baile.usecases.revisions import current_shapes, predictions, revise
from studio9_baile.usecases.shapes import GivenTag, keep_places, shapes_of
from studio9_common.errors import BadInput, NotFound, TooLarge
from studio9_task.shapes import Shape

AUGMENTATIONS = (
    "ROTATION", "SHEARING", "NOISING", "ZOOM_IN", "ZOOM_OUT", "OCCLUSION", "TRANSLATION", "SALT_PEPPER", "MIRRORING",
    "CROPPING", "BLURRING", "PHOTO_DISTORT",
)  # fmt: skip
MOST_ON_PAGE = 1_000_000
"""Labels that the pictures of one page may carry: about 100 MB of JSON, more than a browser shows."""
PICTURES_AT_ONCE, LABELS_AT_ONCE = 50, 5_000
"""What is read of a page between two turns of the event loop (one picture at least)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture with all that is on it (`predicted`: with the confidence), and the URL at which a browser finds it."""

    picture: Picture
    shapes: tuple[Shape, ...]
    predicted: tuple[tuple[Shape, float], ...]
    url: str


@dataclass(frozen=True, slots=True)
class PictureUpload:
    """A picture that has come in whole, on the disk or in memory."""

    content: Path | bytes
    size: int
    sha256: str
    filename: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that has come in whole."""

    path: Path
    size: int
    sha256: str
    filename: str


async def upload_picture(core: Core, caller: Caller, album_id: str, upload: PictureUpload) -> tuple[Album, Seen]:
    """Checks a picture and adds it to an album; its bytes are stored first, under their hash. Pictures that one user
    uploads into one album at the same moment share their transactions.

    Raises AlbumLocked, QuotaReached, BadFileName, PictureUnsupported, PictureDamaged, PictureTooLarge; then
    nothing is changed.
    """
    key = f"{caller.organisation}/pictures/{upload.sha256}"

    async def admit(sizes: Sequence[tuple[str, int]]) -> list[bool | Exception]:
        return await _admit(core, caller, album_id, sizes)

    async def add(pictures: Sequence[Mapping[str, Any]]) -> list[tuple[Album, Picture]]:
        return await _add(core, caller, album_id, pictures)

    marked = await _jointly(core, ("admit", caller, album_id), (key, upload.size), admit)
    name = file_name(upload.filename)
    decoded = await core.decoder.decode(upload.content)
    await keep(core, key, upload.content, content_type=decoded.content_type, sha256=upload.sha256, marked=marked)
    album, picture = await _jointly(core, ("add", caller, album_id), _row(core, key, upload, decoded, name), add)
    return album, Seen(picture, (), (), await picture_url(core, picture))


async def _jointly(
    core: Core, key: Hashable, item: Item, work: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]]
) -> Result:
    if core.database.joins:
        return await core.together.do(key, item, work)
    (result,) = await work([item])
    if isinstance(result, Exception):
        raise result
    return result


async def _admit(
    core: Core, caller: Caller, album_id: str, wanted: Sequence[tuple[str, int]]
) -> list[bool | Exception]:
    """Whether pictures (key, bytes) may come into an album: for each whether its bytes are about to be removed, or why
    there is no room for it."""
    async with core.database.read(caller.organisation) as work:
        await fillable(work, caller, album_id)
        marked = await work.orphans.of([key for key, _ in wanted])
        found: list[bool | Exception] = []
        for key, size in wanted:
            try:
                await check_room(core, work, pictures=1, size=size)
                found.append(key in marked)
            except QuotaReached as error:
                found.append(error)
    return found


async def _add(
    core: Core, caller: Caller, album_id: str, rows: Sequence[Mapping[str, Any]]
) -> list[tuple[Album, Picture]]:
    async with core.database.write(caller.organisation) as work:
        album = await fillable(work, caller, album_id)
        pictures = [work.pictures.make(album=album.id, **row) for row in rows]
        for picture in pictures:
            work.audit(caller.user, "uploaded", Kind.ALBUM, album.id, {"picture": picture.id})
        work.uploaded(album.id)
    return [(album, picture) for picture in pictures]


def _row(core: Core, key: str, upload: PictureUpload, decoded: Decoded, name: str) -> dict[str, Any]:
    return {
        "sha256": upload.sha256, "key": key, "profile": core.objects.profile, "content_type": decoded.content_type,
        "size": upload.size, "width": decoded.width, "height": decoded.height, "filename": name,
    }  # fmt: skip


async def picture_url(core: Core, picture: Picture) -> str:
    """A URL of the picture's bytes that needs no credentials; its text stays the same for an hour."""
    return await core.objects.signed_url(picture.key, expires_s=core.settings.picture_url_s)


async def seen(core: Core, work: Work, pictures: Sequence[Picture]) -> list[Seen]:
    """Pictures with what is on them."""
    shapes = await current_shapes(work, pictures)
    predicted = await predictions(work, pictures)
    return [
        Seen(picture, shapes[picture.id], predicted[picture.id], await picture_url(core, picture))
        for picture in pictures
    ]


def origins(album: Album) -> tuple[bool, ...]:
    """Which labels count in an album's label filter: given (False) and predicted (True) ones."""
    match album.type:
        case AlbumType.SOURCE:
            return (False,)
        case AlbumType.DERIVED:
            return (True,)
        case AlbumType.TRAINRESULTS:
            return (False, True)


async def list_pictures(
    core: Core,
    caller: Caller,
    album_id: str,
    page: Page,
    *,
    labels: Sequence[str] | None = None,
    augmentations: Sequence[str] | None = None,
    share: str | None = None,
) -> tuple[Album, list[list[Picture]], int]:
    """A page of an album's pictures, in slices of which each is small enough for `see`, and how many there are in all.
    In `labels` and `augmentations` an empty text stands for "without". Raises TooLarge for a page that carries more
    than MOST_ON_PAGE labels."""
    for name in augmentations or ():
        if name and name not in AUGMENTATIONS:
            raise BadInput(
                "Unknown augmentation type", field="augmentations", value=name, fix=f"use {', '.join(AUGMENTATIONS)}"
            )
    async with core.database.read(caller.organisation) as work:
        album = await work.albums.get(album_id)
        await check_read(work, caller, Kind.ALBUM, album, share)
        found, count = await work.pictures.page(
            album.id, page, labels=labels, origins=origins(album), augmentations=augmentations
        )
        totals = await work.labels.totals([picture.id for picture in found])
    carried = sum(totals.values())
    if carried > MOST_ON_PAGE:
        raise TooLarge(
            f"The pictures of this page carry {carried} labels",
            field="page_size",
            value=page.size,
            fix=f"ask for at most {max(1, page.size * MOST_ON_PAGE // carried)} pictures at a time",
        )
    return album, _slices(found, totals), count


def _slices(pictures: Sequence[Picture], totals: Mapping[str, int]) -> list[list[Picture]]:
    slices: list[list[Picture]] = []
    carried = 0
    for picture in pictures:
        more = totals.get(picture.id, 0)
        if not slices or len(slices[-1]) == PICTURES_AT_ONCE or carried + more > LABELS_AT_ONCE:
            slices.append([])
            carried = 0
        slices[-1].append(picture)
        carried += more
    return slices


async def see(core: Core, caller: Caller, slices: Sequence[Sequence[Picture]]) -> AsyncIterator[list[Seen]]:
    """What is on the pictures of a page, slice by slice."""

    async def one(pictures: Sequence[Picture]) -> list[Seen]:
        async with core.database.read(caller.organisation) as work:
            return await seen(core, work, pictures)

    for pictures in slices:
        # A client that leaves cuts the answer anywhere, but not a transaction.
        yield await asyncio.shield(one(pictures))


async def get_picture(
    core: Core, caller: Caller, album_id: str, identifier: str, share: str | None = None
) -> tuple[Album, Seen]:
    """One picture of an album."""
    async with core.database.read(caller.organisation) as work:
        album = await work.albums.get(album_id)
        await check_read(work, caller, Kind.ALBUM, album, share)
        picture = await _picture(work, album, identifier)
        return album, (await seen(core, work, [picture]))[0]


async def update_picture(
    core: Core,
    caller: Caller,
    album_id: str,
    identifier: str,
    tags: Sequence[GivenTag] | None,
    *,
    caption: str | None = None,
) -> tuple[Album, Seen]:
    """Replaces a picture's labels by a new revision, and its caption; what is not given stays."""
    async with core.database.write(caller.organisation) as work:
        album = await editable(work, caller, album_id)
        picture = await _picture(work, album, identifier, lock=True)
        if caption is not None:
            picture.caption = text(caption, "caption")
        if tags is not None:
            size = picture.width, picture.height
            given = await asyncio.to_thread(shapes_of, tags, album.label_mode, *size)
            before = (await current_shapes(work, [picture]))[picture.id]
            shapes = await asyncio.to_thread(keep_places, given, before, *size)
            await revise(work, [picture], {picture.id: shapes}, source="human", author=caller.user)
        changed(work, Kind.ALBUM, album.id, "labelled", by=caller)
        await work.flush()
        return album, (await seen(core, work, [picture]))[0]


async def delete_picture(core: Core, caller: Caller, album_id: str, identifier: str) -> None:
    """Takes a picture out of an album."""
    async with core.database.write(caller.organisation) as work:
        album = await editable(work, caller, album_id)
        await work.pictures.remove(await _picture(work, album, identifier))
        work.audit(caller.user, "picture_deleted", Kind.ALBUM, album.id, {"picture": identifier})
        changed(work, Kind.ALBUM, album.id, "picture_deleted")


async def label_counts(core: Core, caller: Caller, album_id: str, share: str | None = None) -> list[tuple[str, int]]:
    """How often each label occurs in an album; the empty text counts the pictures without any."""
    async with core.database.read(caller.organisation) as work:
        album = await work.albums.get(album_id)
        await check_read(work, caller, Kind.ALBUM, album, share)
        counted = {
            AlbumType.SOURCE: (False,), AlbumType.DERIVED: (False, True), AlbumType.TRAINRESULTS: (True,),
        }[album.type]  # fmt: skip
        counts = await work.labels.counts(album.id, counted)
        without = await work.labels.unlabelled(album.id, counted)
    return [*counts, ("", without)] if without else counts


async def _picture(work: Work, album: Album, identifier: str, *, lock: bool = False) -> Picture:
    picture = await work.pictures.get(identifier, lock=lock)
    if picture.album != album.id:
        raise NotFound(work.pictures.missing)
    return picture
