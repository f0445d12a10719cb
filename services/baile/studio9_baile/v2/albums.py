"""Albums."""

from typing import Annotated

from fastapi import Query
from starlette.responses import StreamingResponse

from studio9_baile.usecases import albums, augmenting, copying, label_csv, pictures
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.listing import list_assets
from studio9_baile.v2.dependencies import TheCaller, TheCore, TheDownloader, ThePage, TheShelf
from studio9_baile.v2.routing import router
from studio9_baile.v2.showing import shown
from studio9_baile.v2.wire.albums import (
    AlbumAnswer,
    AlbumBody,
    AugmentBody,
    CopyBody,
    LabelCount,
    NewAlbumBody,
    SaveBody,
)
from studio9_baile.v2.wire.base import Listed, Removed

routes = router()
Shared = Annotated[str | None, Query(alias="shared_resource_id", max_length=100)]


@routes.get("/albums")
async def list_albums(core: TheCore, caller: TheCaller, page: ThePage, shelf: TheShelf) -> Listed[AlbumAnswer]:
    found, count = await list_assets(core, caller, Kind.ALBUM, shelf, page)
    return Listed(data=[await shown(core, album) for album in found], count=count)


@routes.post("/albums")
async def create(body: NewAlbumBody, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    if body.copyPicturesFrom is None:
        return AlbumAnswer.of(await albums.create_album(core, caller, body.name, body.labelMode, body.description))
    merged = await copying.merge_albums(
        core,
        caller,
        body.copyPicturesFrom,
        body.name,
        body.labelMode,
        description=body.description,
        only_labelled=bool(body.copyOnlyLabelledPictures),
    )
    return AlbumAnswer.of(merged)


@routes.get("/albums/{album_id}")
async def get(album_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> AlbumAnswer:
    return await shown(core, await albums.get_album(core, caller, album_id, share))


@routes.put("/albums/{album_id}")
async def update(album_id: str, body: AlbumBody, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    changed = await albums.update_album(
        core, caller, album_id, name=body.name, label_mode=body.labelMode, description=body.description
    )
    return await shown(core, changed)


@routes.delete("/albums/{album_id}")
async def delete(album_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await albums.delete_album(core, caller, album_id)
    return Removed(id=album_id)


@routes.post("/albums/{album_id}/copy")
async def copy(album_id: str, body: CopyBody, core: TheCore, caller: TheCaller, share: Shared = None) -> AlbumAnswer:
    made = await copying.copy_album(
        core,
        caller,
        album_id,
        body.name,
        pictures=body.pictureIds,
        description=body.description,
        only_labelled=bool(body.copyOnlyLabelledPictures),
        share=share,
    )
    return AlbumAnswer.of(made)


@routes.post("/albums/{album_id}/save")
async def save(album_id: str, body: SaveBody, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    return await shown(core, await albums.save_album(core, caller, album_id, body.name))


@routes.post("/albums/{album_id}/augment")
async def augment(album_id: str, body: AugmentBody, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    made = await augmenting.augment_album(
        core,
        caller,
        album_id,
        body.outputName,
        steps=body.augmentations,
        bloat_factor=body.bloatFactor,
        include_originals=body.includeOriginalPictures is not False,
    )
    return AlbumAnswer.of(made)


@routes.get("/albums/{album_id}/tags")
async def tags(album_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> list[LabelCount]:
    counts = await pictures.label_counts(core, caller, album_id, share)
    return [LabelCount(label=label, count=count) for label, count in counts]


@routes.get("/albums/{album_id}/export")
async def export(album_id: str, core: TheCore, caller: TheDownloader, share: Shared = None) -> StreamingResponse:
    album = await albums.get_album(core, caller, album_id, share)
    headers = {"Content-Disposition": f'attachment; filename="album-{album.id}.csv"'}
    return StreamingResponse(label_csv.export_labels(core, caller, album), media_type="text/csv", headers=headers)
