"""New albums from the pictures of others. Records are copied; the bytes are shared."""

from collections.abc import Collection, Sequence

from studio9_baile.core import Caller, Core
from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType, LabelMode, Picture
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import text
from studio9_baile.usecases.access import check_read
from studio9_baile.usecases.albums import NewAlbum, add_album, require_active
from studio9_baile.usecases.asking import begin_merge
from studio9_baile.usecases.assets import check_name, name_of
from studio9_baile.usecases.changes import Kind, changed, made_from
from studio9_baile.usecases.quotas import check_room
from studio9_baile.usecases.revisions import current_shapes, predicted_shapes, revise
from studio9_common.errors import BadInput
from studio9_task.shapes import Shape


async def copy_album(
    core: Core,
    caller: Caller,
    source: str,
    name: str | None,
    *,
    pictures: Sequence[str] | None = None,
    description: str | None = None,
    only_labelled: bool = False,
    share: str | None = None,
) -> Album:
    """A source album with an album's pictures, or some of them. What a model predicted becomes labels."""
    wanted = name_of(Kind.ALBUM, name)
    async with core.database.write(caller.organisation) as work:
        album = await work.albums.get(source)
        await check_read(work, caller, Kind.ALBUM, album, share)
        require_active(album)
        described = text(description, "description") or album.description
        await _check_room(core, work, [album], len(set(pictures)) if pictures is not None else None)
        copy = await _new(work, caller, wanted, album.label_mode, described)
        await _copy_pictures(work, album, copy, pictures, only_labelled)
        made_from(work, Kind.ALBUM, copy.id, Kind.ALBUM, album.id, "copy")
    return copy


async def merge_albums(
    core: Core,
    caller: Caller,
    sources: Sequence[str],
    name: str | None,
    label_mode: LabelMode,
    *,
    description: str | None = None,
    only_labelled: bool = False,
) -> Album:
    """A source album for the pictures of several albums of one label mode: a process brings them in."""
    wanted = name_of(Kind.ALBUM, name)
    if not sources:
        raise BadInput("At least one album to merge required", field="copyPicturesFrom", fix="name one or more albums")
    async with core.database.write(caller.organisation) as work:
        found = await work.albums.many(sources)
        albums = [found[one] for one in dict.fromkeys(sources) if one in found]
        if len(found) < len(set(sources)) or any(album.owner != caller.user for album in albums):
            raise BadInput("Some input album(s) not found", field="copyPicturesFrom", fix="name albums of your own")
        if any(album.label_mode is not label_mode for album in albums):
            raise BadInput("Label Mode of merging albums does not match", field="labelMode", fix="merge like with like")
        for album in albums:
            require_active(album)
        if not await _some(work, albums, only_labelled):
            raise BadInput("Selected albums have no pictures", field="copyPicturesFrom", fix="upload pictures first")
        await _check_room(core, work, albums)
        described = text(description, "description")
        merged = await _new(work, caller, wanted, label_mode, described, AlbumStatus.UPLOADING)
        for album in albums:
            made_from(work, Kind.ALBUM, merged.id, Kind.ALBUM, album.id, "merge")
        begin_merge(work, merged, [album.id for album in albums], only_labelled=only_labelled)
    return merged


async def _check_room(core: Core, work: Work, albums: Sequence[Album], most: int | None = None) -> None:
    """Raises QuotaReached where copies of the albums' pictures (`most` of them) are too many."""
    pictures = size = 0
    for album in albums:
        held = await work.tallies.of(album.id)
        pictures, size = pictures + held.pictures, size + held.bytes
    if most is not None and most < pictures:
        pictures, size = most, size * most // pictures
    await check_room(core, work, pictures=pictures, size=size)


async def _some(work: Work, albums: Sequence[Album], only_labelled: bool) -> bool:
    """Whether there is any picture to be copied."""
    for album in albums:
        count = await work.pictures.count(work.pictures.row.album == album.id)
        if only_labelled:
            count -= await work.labels.unlabelled(album.id, [False, True])
        if count:
            return True
    return False


async def _new(
    work: Work,
    caller: Caller,
    name: str,
    mode: LabelMode,
    description: str | None,
    status: AlbumStatus = AlbumStatus.ACTIVE,
) -> Album:
    await check_name(work, Kind.ALBUM, caller.user, name)
    new = NewAlbum(name=name, label_mode=mode, description=description, status=status)
    album = add_album(work, caller.user, new)
    changed(work, Kind.ALBUM, album.id, "created", by=caller, status="" if status is AlbumStatus.ACTIVE else status)
    await work.flush()
    return album


async def _copy_pictures(
    work: Work, source: Album, target: Album, only: Collection[str] | None, only_labelled: bool
) -> None:
    wanted = None if only is None else set(only)
    async for chunk in work.pictures.every(source.id):
        chosen = [picture for picture in chunk if wanted is None or picture.id in wanted]
        await copy_some(work, source, target, chosen, only_labelled=only_labelled)


async def copy_some(
    work: Work, source: Album, target: Album, pictures: Sequence[Picture], *, only_labelled: bool
) -> None:
    """Copies these pictures of `source` with their labels into `target`."""
    labels = await _labels(work, source, pictures)
    chosen = [picture for picture in pictures if labels[picture.id] or not only_labelled]
    # A result's picture names no original, only what it shows: a copy of it must still say of which video it is.
    shown = await work.pictures.many({one.source for one in chosen if one.source and one.frame is None})
    copies = {picture.id: _copy(work, picture, target.id, shown.get(picture.source or "")) for picture in chosen}
    await work.flush()
    labelled = [picture for picture in chosen if labels[picture.id]]
    shapes = {copies[picture.id].id: labels[picture.id] for picture in labelled}
    origin = "human" if source.type is AlbumType.SOURCE else "model"
    await revise(work, [copies[picture.id] for picture in labelled], shapes, source=origin)


async def _labels(work: Work, source: Album, pictures: Sequence[Picture]) -> dict[str, Sequence[Shape]]:
    labels: dict[str, Sequence[Shape]] = {}
    labels.update(await current_shapes(work, pictures))
    if source.type is not AlbumType.SOURCE:
        predicted = await predicted_shapes(work, pictures)
        labels.update({picture: shapes for picture, shapes in predicted.items() if shapes})
    return labels


def _copy(work: Work, picture: Picture, album: str, shown: Picture | None) -> Picture:
    return work.pictures.make(
        album=album,
        sha256=picture.sha256,
        key=picture.key,
        profile=picture.profile,
        content_type=picture.content_type,
        size=picture.size,
        width=picture.width,
        height=picture.height,
        filename=picture.filename,
        caption=picture.caption,
        original=picture.made_from or (shown.made_from if shown else None),
        augmentations=picture.augmentations,
    )
