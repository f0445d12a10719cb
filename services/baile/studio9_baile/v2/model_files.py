"""Model files: taken out, brought in."""

from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import StreamingResponse

from studio9_baile.prefix import address_of
from studio9_baile.usecases import model_files
from studio9_baile.v2.albums import Shared
from studio9_baile.v2.dependencies import TheCaller, TheCore, TheDownloader, token_of
from studio9_baile.v2.receiving import received
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.models import ModelAnswer
from studio9_common.errors import BadInput

routes = router()


@routes.post("/cv-models/import")
async def bring_in(request: Request, core: TheCore, caller: TheCaller) -> ModelAnswer:
    async with received(request, core, limit=core.settings.max_model) as (upload, fields):
        in_library = fields.get("inLibrary", "true").lower()
        if in_library not in ("true", "false"):
            raise BadInput("inLibrary is not boolean", field="inLibrary", value=in_library[:50], fix="true or false")
        return ModelAnswer.of(await model_files.import_model(core, caller, upload, fields.get("name")))


@routes.get("/cv-models/{model_id}/export")
async def export(model_id: str, request: Request, core: TheCore, caller: TheCaller, share: Shared = None) -> str:
    """The address of the file, as a JSON text; the browser opens it as it is, so it carries the caller's token."""
    await model_files.export_model(core, caller, model_id, share)
    query = {"access_token": token_of(request), **({"shared_resource_id": share} if share else {})}
    base = address_of(request, core.settings)
    return f"{base}{request.scope['root_path']}/cv-models/{model_id}/exportFile?{urlencode(query)}"


@routes.get("/cv-models/{model_id}/exportFile")
async def export_file(model_id: str, core: TheCore, caller: TheDownloader, share: Shared = None) -> StreamingResponse:
    file = await model_files.export_model(core, caller, model_id, share)
    headers = {
        "Content-Disposition": f'attachment; filename="cv-model-{file.model.id}.bin"',
        "Content-Length": str(len(file.head) + file.weights.size),
    }
    body = model_files.read_model_file(core, file)
    return StreamingResponse(body, media_type="application/octet-stream", headers=headers)


@routes.get("/cv-models/{model_id}/state-file-url")
async def state_file_url(model_id: str, core: TheCore, caller: TheCaller) -> str:
    """Where the weights alone can be had without credentials, for a while."""
    file = await model_files.export_model(core, caller, model_id)
    return await core.objects.signed_url(file.weights.key, expires_s=core.settings.picture_url_s, filename="model.pt")
