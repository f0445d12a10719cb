"""Albums: made, renamed, saved, deleted; and which of them may be changed."""

from collections.abc import Sequence
from dataclasses import dataclass

from studio9_baile.core import Caller, Core
from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType, LabelMode
from studio9_baile.repositories.base import Slice
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import text
from studio9_baile.usecases.access import check_owner
from studio9_baile.usecases.assets import check_name, get_asset, name_of, rename
from studio9_baile.usecases.changes import Kind, changed, forget_place
from studio9_common.errors import BadInput, Conflict


class AlbumInUse(BadInput):
    """Album is in use"""

    code = "album_in_use"


class AlbumLocked(Conflict):
    """The album cannot be changed now; the message says why and what to do."""

    code = "album_locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAlbum:
    """An album to be made. `job` makes it, if one does."""

    name: str
    label_mode: LabelMode
    description: str | None = None
    type: AlbumType = AlbumType.SOURCE
    status: AlbumStatus = AlbumStatus.ACTIVE
    in_library: bool = True
    job: str | None = None


def add_album(work: Work, owner: str, new: NewAlbum) -> Album:
    """Adds the row of a new album, its name not checked."""
    return work.albums.make(
        owner=owner,
        name=new.name,
        description=new.description,
        status=new.status,
        type=new.type,
        label_mode=new.label_mode,
        in_library=new.in_library,
        job=new.job,
    )


async def create_album(
    core: Core, caller: Caller, name: str | None, label_mode: LabelMode, description: str | None = None
) -> Album:
    """An empty album for the user's own pictures."""
    wanted = name_of(Kind.ALBUM, name)
    described = text(description, "description")
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.ALBUM, caller.user, wanted)
        album = add_album(work, caller.user, NewAlbum(name=wanted, label_mode=label_mode, description=described))
        changed(work, Kind.ALBUM, album.id, "created", by=caller)
    return album


async def get_album(core: Core, caller: Caller, identifier: str, share: str | None = None) -> Album:
    """One album, by its owner or with a share."""
    album: Album = await get_asset(core, caller, Kind.ALBUM, identifier, share)
    return album


async def recent_albums(core: Core, caller: Caller, wanted: Slice) -> Sequence[Album]:
    """The caller's albums, also those that are not in the library, newest first."""
    async with core.database.read(caller.organisation) as work:
        return await work.albums.recent(wanted, work.albums.row.owner == caller.user)


async def update_album(
    core: Core,
    caller: Caller,
    identifier: str,
    *,
    name: str | None = None,
    label_mode: LabelMode | None = None,
    description: str | None = None,
) -> Album:
    """Changes what is given. The label mode changes only while no picture is labelled."""
    async with core.database.write(caller.organisation) as work:
        album: Album = await rename(work, caller, Kind.ALBUM, identifier, name, description)
        if label_mode is not None and label_mode is not album.label_mode:
            await _check_label_mode(work, album)
            album.label_mode = label_mode
    return album


async def _check_label_mode(work: Work, album: Album) -> None:
    reason = None
    if album.type is not AlbumType.SOURCE:
        reason = "it holds results"
    elif album.status is not AlbumStatus.ACTIVE:
        reason = f"it is {album.status.value.lower()}"
    elif await work.labels.counts(album.id, [False]):
        reason = "it has labelled pictures"
    if reason is not None:
        raise BadInput(f"You can not change label mode: {reason}", field="labelMode", fix="make a new album")


async def save_album(core: Core, caller: Caller, identifier: str, name: str | None) -> Album:
    """Puts a result album into the library."""
    wanted = name_of(Kind.ALBUM, name)
    async with core.database.write(caller.organisation) as work:
        album = await work.albums.get(identifier, lock=True)
        check_owner(caller, album)
        require_active(album)
        await check_name(work, Kind.ALBUM, caller.user, wanted, other_than=album.id)
        album.name, album.in_library, album.updated_at = wanted, True, work.now
        changed(work, Kind.ALBUM, album.id, "saved", by=caller)
    return album


def require_active(album: Album) -> None:
    """Raises BadInput unless the album is complete."""
    if album.status is not AlbumStatus.ACTIVE:
        raise BadInput(
            "This can be done only to active album", field="album", value=album.status.value, fix="wait until it is"
        )


async def delete_album(core: Core, caller: Caller, identifier: str) -> None:
    """Deletes an album with its pictures, unless a run or a deployment uses it."""
    async with core.database.write(caller.organisation) as work:
        album = await work.albums.get(identifier, lock=True)
        check_owner(caller, album)
        busy = {AlbumStatus.SAVING: "Save", AlbumStatus.UPLOADING: "Upload"}.get(album.status)
        if busy is not None:
            raise Conflict(f"Can not delete album because {busy} in progress", field="album", fix="wait for its end")
        if await in_use(work, album.id):
            raise AlbumInUse(field="album", fix="delete the experiments, predictions or online jobs that use it first")
        await remove_album(work, album)
        work.audit(caller.user, "deleted", Kind.ALBUM, album.id)


async def remove_album(work: Work, album: Album) -> None:
    """Removes an album's row; its pictures go with it, their bytes stay for others that share them."""
    await forget_place(work, Kind.ALBUM, album.id)
    await work.albums.remove(album)
    changed(work, Kind.ALBUM, album.id, "deleted")


async def in_use(work: Work, album: str) -> bool:
    """Whether an experiment, a prediction or a deployment uses an album."""
    return await work.albums.in_use(album)


async def editable(
    work: Work, caller: Caller, identifier: str, *, while_filling: bool = False, lock: bool = False
) -> Album:
    """The album, if the caller may change its pictures and labels; `while_filling` is for the process that fills it,
    `lock` for whoever changes the album itself. Raises NotFound, AccessDenied, AlbumLocked."""
    album = await work.albums.get(identifier, lock=lock)
    check_owner(caller, album)
    reason, fix = None, "use an album of your own pictures"
    if album.type is not AlbumType.SOURCE:
        reason = f"its type is {album.type.value}"
    elif album.status is not AlbumStatus.ACTIVE and not (while_filling and album.status is AlbumStatus.UPLOADING):
        reason, fix = f"it is {album.status.value.lower()}", "wait for the end"
    elif await in_use(work, album.id):
        reason, fix = "it is already in use", "clone it and modify the clone"
    if reason is not None:
        raise AlbumLocked(f"Operation is unavailable for the album: {reason}", field="album", fix=fix)
    return album


async def fillable(work: Work, caller: Caller, identifier: str, *, lock: bool = False) -> Album:
    """The album, if the caller may add pictures to it. Raises NotFound, AccessDenied, AlbumLocked."""
    album = await editable(work, caller, identifier, lock=lock)
    if album.video is not None:
        raise AlbumLocked(
            "Operation is unavailable for the album: it contains video", field="album", fix="use another album"
        )
    return album


async def video_url(core: Core, album: Album) -> str | None:
    """A URL of the album's video, if it has one; its text stays the same for an hour."""
    if album.video is None:
        return None
    return await core.objects.signed_url(album.video["key"], expires_s=core.settings.picture_url_s)
