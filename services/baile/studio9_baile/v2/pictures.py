"""Pictures, and what is brought into albums: pictures and labels."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from studio9_baile.models.pictures import Album
from studio9_baile.usecases import label_csv, pictures, registering
from studio9_baile.v2.albums import Shared
from studio9_baile.v2.dependencies import TheCaller, TheCore, ThePage
from studio9_baile.v2.receiving import received, received_json, received_picture
from studio9_baile.v2.routing import router
from studio9_baile.v2.showing import shown
from studio9_baile.v2.wire.albums import AlbumAnswer, RegisterBody
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
    album, slices, count = await pictures.list_pictures(
        core, caller, album_id, page, labels=_items(labels), augmentations=_items(augmentations), share=share
    )
    return StreamingResponse(_page(album, pictures.see(core, caller, slices), count), media_type="application/json")


async def _page(album: Album, slices: AsyncIterator[list[pictures.Seen]], count: int) -> AsyncIterator[str]:
    """A list as it is read: a page may hold a million boxes, too many for one text."""
    yield '{"data":['
    separator = ""
    async for found in slices:
        yield separator + await asyncio.to_thread(_joined, album, found)
        separator = ","
    yield f'],"count":{count}}}'


def _joined(album: Album, found: list[pictures.Seen]) -> str:
    return ",".join(PictureAnswer.of(album, one).model_dump_json(exclude_none=True) for one in found)


async def _answer(album: Album, seen: pictures.Seen) -> Response:
    return Response(await asyncio.to_thread(_joined, album, [seen]), media_type="application/json")


@routes.put("/albums/{album_id}/pictures")
async def register(album_id: str, body: RegisterBody, core: TheCore, caller: TheCaller) -> Removed:
    """Pictures that a program has stored under the organisation's own keys."""
    given = [
        registering.Registered(one.filepath, one.filename, one.caption, [tag.given() for tag in one.tags or ()])
        for one in body.pictureMetaList
    ]
    await registering.register_pictures(core, caller, album_id, given, keep_existing=body.keepExisting)
    return Removed(id=album_id)


@routes.get("/albums/{album_id}/pictures/{picture_id}", response_model=PictureAnswer)
async def get(album_id: str, picture_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> Response:
    return await _answer(*await pictures.get_picture(core, caller, album_id, picture_id, share))


@routes.put("/albums/{album_id}/pictures/{picture_id}", response_model=PictureAnswer)
async def update(album_id: str, picture_id: str, request: Request, core: TheCore, caller: TheCaller) -> Response:
    body = await received_json(request, PictureBody)
    tags = None if body.tags is None else await asyncio.to_thread(lambda: [tag.given() for tag in body.tags or ()])
    album, seen = await pictures.update_picture(core, caller, album_id, picture_id, tags, caption=body.caption)
    return await _answer(album, seen)


@routes.delete("/albums/{album_id}/pictures/{picture_id}")
async def delete(album_id: str, picture_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await pictures.delete_picture(core, caller, album_id, picture_id)
    return Removed(id=picture_id)


@routes.post("/albums/{album_id}/uploadPicture")
async def upload_picture(album_id: str, request: Request, core: TheCore, caller: TheCaller) -> PictureAnswer:
    async with received_picture(request, core, limit=core.settings.max_picture) as (upload, fields):
        name = fields.get("filename") or PurePath(upload.filename).stem or upload.filename
        named = replace(upload, filename=name)
        return PictureAnswer.of(*await pictures.upload_picture(core, caller, album_id, named))


@routes.post("/albums/{album_id}/uploadLabels")
async def upload_labels(
    album_id: str, request: Request, response: Response, core: TheCore, caller: TheCaller
) -> AlbumAnswer:
    async with received(request, core, limit=core.settings.max_labels_csv) as (upload, _):
        album, report = await label_csv.upload_labels(core, caller, album_id, upload)
    response.headers[REPORT_HEADER] = json.dumps(report.body(SKIPPED_IN_HEADER), ensure_ascii=True)
    return await shown(core, album)
