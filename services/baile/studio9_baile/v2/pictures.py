"""Pictures, and what is brought into albums: pictures and labels."""

import asyncio
import json
from pathlib import PurePath
from typing import Annotated

from fastapi import Query, Request, Response

from studio9_baile.models.pictures import Album
from studio9_baile.usecases import label_csv, pictures
from studio9_baile.v2.albums import Shared
from studio9_baile.v2.dependencies import TheCaller, TheCore, ThePage
from studio9_baile.v2.receiving import received
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.albums import AlbumAnswer
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.pictures import PictureAnswer, PictureBody

routes = router()
REPORT_HEADER = "Studio9-Label-Report"
"""What became of an upload's rows, as JSON in ASCII; the whole report is at /v1/albums/{id}/label-report."""
SKIPPED_IN_HEADER = 10
Items = Annotated[str | None, Query(max_length=10_000)]


def _items(text: str | None) -> list[str] | None:
    return None if text is None else [item.strip() for item in text.split(",")]


@routes.get("/albums/{album_id}/pictures", response_model=Listed[PictureAnswer])
async def list_pictures(
    album_id: str,
    core: TheCore,
    caller: TheCaller,
    page: ThePage,
    labels: Items = None,
    augmentations: Items = None,
    share: Shared = None,
) -> Response:
    album, found, count = await pictures.list_pictures(
        core, caller, album_id, page, labels=_items(labels), augmentations=_items(augmentations), share=share
    )
    # A page may hold hundreds of thousands of boxes: it is put together beside the loop.
    content = await asyncio.to_thread(_page, album, found, count)
    return Response(content, media_type="application/json")


def _page(album: Album, found: list[pictures.Seen], count: int) -> str:
    listed = Listed[PictureAnswer](data=[PictureAnswer.of(album, one) for one in found], count=count)
    return listed.model_dump_json(exclude_none=True)


@routes.get("/albums/{album_id}/pictures/{picture_id}")
async def get(album_id: str, picture_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> PictureAnswer:
    return PictureAnswer.of(*await pictures.get_picture(core, caller, album_id, picture_id, share))


@routes.put("/albums/{album_id}/pictures/{picture_id}")
async def update(album_id: str, picture_id: str, body: PictureBody, core: TheCore, caller: TheCaller) -> PictureAnswer:
    tags = None if body.tags is None else [tag.given() for tag in body.tags]
    return PictureAnswer.of(
        *await pictures.update_picture(core, caller, album_id, picture_id, tags, caption=body.caption)
    )


@routes.delete("/albums/{album_id}/pictures/{picture_id}")
async def delete(album_id: str, picture_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await pictures.delete_picture(core, caller, album_id, picture_id)
    return Removed(id=picture_id)


@routes.post("/albums/{album_id}/uploadPicture")
async def upload_picture(album_id: str, request: Request, core: TheCore, caller: TheCaller) -> PictureAnswer:
    async with received(request, core, limit=core.settings.max_picture) as (upload, fields):
        name = fields.get("filename") or PurePath(upload.filename).stem or upload.filename
        named = pictures.Upload(upload.path, upload.size, upload.sha256, name)
        return PictureAnswer.of(*await pictures.upload_picture(core, caller, album_id, named))


@routes.post("/albums/{album_id}/uploadLabels")
async def upload_labels(
    album_id: str, request: Request, response: Response, core: TheCore, caller: TheCaller
) -> AlbumAnswer:
    async with received(request, core, limit=core.settings.max_labels_csv) as (upload, _):
        album, report = await label_csv.upload_labels(core, caller, album_id, upload)
    response.headers[REPORT_HEADER] = json.dumps(report.body(SKIPPED_IN_HEADER), ensure_ascii=True)
    return AlbumAnswer.of(album)
