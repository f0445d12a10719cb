"""What comes from buckets into albums, and files of datasets from and to them."""

import json
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from studio9_baile.usecases import file_transfers, importing
from studio9_baile.v2.dependencies import TheCaller, TheCore
from studio9_baile.v2.pictures import REPORT_HEADER, SKIPPED_IN_HEADER
from studio9_baile.v2.receiving import received, received_json
from studio9_baile.v2.routing import router
from studio9_baile.v2.showing import shown
from studio9_baile.v2.wire.albums import AlbumAnswer
from studio9_baile.v2.wire.buckets import ExportBody, ImportBody, LabelsBody, PicturesBody, VideoBody
from studio9_baile.v2.wire.datasets import DatasetAnswer

routes = router()


@routes.post("/albums/{album_id}/importPicturesFromS3", status_code=202)
async def pictures(album_id: str, request: Request, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    """A multipart form (with a labels CSV as `file`), a plain form, or JSON. Pictures are stored as they are: the
    logarithmic transformation that the form offers is for radar pictures of other formats, and is not applied."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/"):
        async with received(request, core, limit=core.settings.max_labels_csv, optional=True) as (upload, fields):
            body = _form(fields)
            album = await importing.import_pictures(
                core,
                caller,
                album_id,
                body.reference(),
                body.S3ImagesPath,
                labels=upload if upload.size else None,
                labels_path=body.S3CSVPath or None,
            )
        return AlbumAnswer.of(album)
    if kind.startswith("application/x-www-form-urlencoded"):
        body = _form(dict(parse_qsl((await request.body()).decode(errors="replace"))))
    else:
        body = await received_json(request, PicturesBody)
    album = await importing.import_pictures(
        core, caller, album_id, body.reference(), body.S3ImagesPath, labels_path=body.S3CSVPath or None
    )
    return AlbumAnswer.of(album)


def _form(fields: dict[str, str]) -> PicturesBody:
    try:
        return PicturesBody.model_validate(fields)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None


@routes.post("/albums/{album_id}/importLabelsFromS3")
async def labels(album_id: str, body: LabelsBody, response: Response, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    album, report = await importing.import_labels(core, caller, album_id, body.reference(), body.S3CSVPath)
    response.headers[REPORT_HEADER] = json.dumps(report.body(SKIPPED_IN_HEADER), ensure_ascii=True)
    return await shown(core, album)


@routes.post("/albums/{album_id}/importVideoFromS3")
async def video(album_id: str, body: VideoBody, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    return AlbumAnswer.of(
        await importing.import_video(core, caller, album_id, body.reference(), body.S3VideoPath, body.frameRateDivider)
    )


@routes.post("/datasets/{dataset_id}/import", status_code=202)
async def bring_in(dataset_id: str, body: ImportBody, core: TheCore, caller: TheCaller) -> DatasetAnswer:
    place = body.place
    row = await file_transfers.transfer(core, caller, dataset_id, place.s3Bucket.reference(), place.path, out=False)
    return DatasetAnswer.of(row)


@routes.post("/datasets/{dataset_id}/export", status_code=202)
async def send_out(dataset_id: str, body: ExportBody, core: TheCore, caller: TheCaller) -> DatasetAnswer:
    place = body.to
    row = await file_transfers.transfer(core, caller, dataset_id, place.s3Bucket.reference(), place.path, out=True)
    return DatasetAnswer.of(row)
