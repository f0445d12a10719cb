"""Binary datasets: files, and nothing that a training would know."""

import json
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import StreamingResponse

from studio9_baile.usecases import file_sets
from studio9_baile.usecases.changes import Kind
from studio9_baile.v2.albums import Shared
from studio9_baile.v2.dependencies import TheCaller, TheCore, TheDownloader, ThePage
from studio9_baile.v2.multipart import FormReader
from studio9_baile.v2.receiving import received_files
from studio9_baile.v2.routing import router
from studio9_baile.v2.runs import add_run_routes
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.datasets import DatasetAnswer, DatasetBody, FileAnswer, FilesBody
from studio9_common.errors import BadInput

routes = router()
add_run_routes(
    routes,
    "datasets",
    Kind.DATASET,
    answer=DatasetAnswer,
    item=DatasetAnswer,
    listed=Listed[DatasetAnswer],
    delete=file_sets.delete_file_set,
)


@routes.post("/datasets")
async def create(body: DatasetBody, core: TheCore, caller: TheCaller) -> DatasetAnswer:
    return DatasetAnswer.of(await file_sets.create_file_set(core, caller, body.name, body.description))


@routes.get("/datasets/{dataset_id}/ls")
async def list_files(
    dataset_id: str, core: TheCore, caller: TheCaller, page: ThePage, share: Shared = None
) -> Listed[FileAnswer]:
    found, count = await file_sets.list_files(core, caller, dataset_id, page, share)
    return Listed(data=[FileAnswer.of(file, url) for file, url in found], count=count)


@routes.post("/datasets/{dataset_id}/files")
async def upload(dataset_id: str, request: Request, core: TheCore, caller: TheCaller) -> Removed:
    async with received_files(request, core, limit=core.settings.max_files) as uploads:
        await file_sets.add_files(core, caller, dataset_id, uploads)
    return Removed(id=dataset_id)


@routes.delete("/datasets/{dataset_id}/files/{name:path}")
async def delete_file(dataset_id: str, name: str, core: TheCore, caller: TheCaller) -> Removed:
    await file_sets.delete_file(core, caller, dataset_id, name)
    return Removed(id=dataset_id)


async def _download(core: Any, caller: Any, dataset: str, names: list[str] | None, share: str | None) -> Any:
    row, files = await file_sets.files_for_download(core, caller, dataset, names, share)
    headers = {"Content-Disposition": f'attachment; filename="dataset-{row.id}.tar"'}
    return StreamingResponse(file_sets.archive(core, files), media_type="application/x-tar", headers=headers)


@routes.get("/datasets/{dataset_id}/download")
async def download(dataset_id: str, core: TheCore, caller: TheDownloader, share: Shared = None) -> StreamingResponse:
    answer: StreamingResponse = await _download(core, caller, dataset_id, None, share)
    return answer


@routes.post("/datasets/{dataset_id}/download")
async def download_some(
    dataset_id: str, request: Request, core: TheCore, caller: TheDownloader, share: Shared = None
) -> StreamingResponse:
    """The names come as a form's field `files`, a JSON list, or in a JSON body."""
    names = _names(request.headers.get("content-type", ""), await request.body())
    answer: StreamingResponse = await _download(core, caller, dataset_id, names, share)
    return answer


def _names(content_type: str, body: bytes) -> list[str] | None:
    if not body.strip():
        return None
    try:
        if content_type.startswith("application/x-www-form-urlencoded"):
            content = {"files": json.loads(parse_qs(body.decode())["files"][0])}
        elif content_type.startswith("multipart/form-data"):
            form = FormReader(content_type, lambda _: None)
            form.feed(body)
            form.close(needs_file=False)
            content = {"files": json.loads(form.fields["files"])}
        else:
            content = json.loads(body)
        return FilesBody.model_validate(content).files
    except (ValueError, KeyError, RecursionError, ValidationError):
        raise BadInput(
            "Files to download cannot be read", field="files", fix="send a JSON list of file names as `files`"
        ) from None
