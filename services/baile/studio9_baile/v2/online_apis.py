"""Online APIs, and calls of them."""

import asyncio
import base64
import binascii
import hashlib
import tempfile
from pathlib import Path
from typing import IO

from fastapi import Request

from studio9_baile.usecases import assets, online_apis
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.pictures import Upload
from studio9_baile.v2.dependencies import TheCaller, TheCore
from studio9_baile.v2.receiving import FOLDER, received, received_json
from studio9_baile.v2.routing import router
from studio9_baile.v2.runs import add_run_routes
from studio9_baile.v2.wire.base import Body, Listed
from studio9_baile.v2.wire.online_apis import CallAnswer, NewOnlineApiBody, OnlineApiAnswer, OnlineApiBody
from studio9_common.errors import BadInput

routes = router()
add_run_routes(
    routes,
    "online-apis",
    Kind.ONLINE_API,
    answer=OnlineApiAnswer,
    item=OnlineApiAnswer,
    listed=Listed[OnlineApiAnswer],
    delete=online_apis.delete_online_api,
    updates=False,
)


@routes.post("/online-apis")
async def create(body: NewOnlineApiBody, core: TheCore, caller: TheCaller) -> OnlineApiAnswer:
    made = await online_apis.create_online_api(
        core,
        caller,
        name=body.name,
        description=body.description,
        model=body.target.id,
        enabled=body.enabled is not False,
    )
    return OnlineApiAnswer.of(made)


@routes.put("/online-apis/{run_id}")
async def update(run_id: str, body: OnlineApiBody, core: TheCore, caller: TheCaller) -> OnlineApiAnswer:
    changed = await assets.rename_asset(core, caller, Kind.ONLINE_API, run_id, body.name, body.description)
    if body.enabled is not None:
        changed = await online_apis.switch(core, caller, run_id, body.enabled)
    return OnlineApiAnswer.of(changed)


class PictureOfCall(Body):
    """A picture as JSON: its bytes in base64."""

    picture: str
    filename: str | None = None


@routes.post("/api-call/{api_id}/predict")
async def predict(api_id: str, request: Request, core: TheCore, caller: TheCaller) -> CallAnswer:
    """The picture comes as a form's `file`, or in JSON as `picture` in base64."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        async with received(request, core, limit=core.settings.max_call) as (upload, _):
            return CallAnswer.of(await online_apis.call(core, caller, api_id, upload))
    body = await received_json(request, PictureOfCall)
    folder, limit = core.settings.work_dir / FOLDER, core.settings.max_call
    with await asyncio.to_thread(_file, folder, body.picture, limit) as file:
        size, sha256 = await asyncio.to_thread(_measured, Path(file.name))
        upload = Upload(Path(file.name), size, sha256, body.filename or "picture")
        return CallAnswer.of(await online_apis.call(core, caller, api_id, upload))


def _file(folder: Path, picture: str, limit: int) -> IO[bytes]:
    """The picture in a temporary file. Raises BadInput. Blocks."""
    try:
        content = base64.b64decode(picture, validate=True)
    except (ValueError, binascii.Error):
        raise BadInput("Picture is not base64", field="picture", fix="encode the file's bytes in base64") from None
    if not 1 <= len(content) <= limit:
        raise BadInput("Picture is empty or too large", field="picture", fix=f"send 1 to {limit} bytes")
    folder.mkdir(parents=True, exist_ok=True)
    file = tempfile.NamedTemporaryFile(dir=folder)  # noqa: SIM115 - its user closes it
    file.write(content)
    file.flush()
    return file


def _measured(path: Path) -> tuple[int, str]:
    content = path.read_bytes()
    return len(content), hashlib.sha256(content).hexdigest()
