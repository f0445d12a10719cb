"""CV models."""

from studio9_baile.usecases import models
from studio9_baile.v2.albums import Shared
from studio9_baile.v2.dependencies import TheCaller, TheCore, ThePage, TheShelf
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.models import ModelAnswer, RenameBody

routes = router()


@routes.get("/cv-models")
async def list_models(core: TheCore, caller: TheCaller, page: ThePage, shelf: TheShelf) -> Listed[ModelAnswer]:
    found, count = await models.list_models(core, caller, shelf, page)
    return Listed(data=[ModelAnswer.of(one) for one in found], count=count)


@routes.get("/cv-models/{model_id}")
async def get(model_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> ModelAnswer:
    return ModelAnswer.of(await models.get_model(core, caller, model_id, share))


@routes.put("/cv-models/{model_id}")
async def update(model_id: str, body: RenameBody, core: TheCore, caller: TheCaller) -> ModelAnswer:
    return ModelAnswer.of(await models.update_model(core, caller, model_id, body.name, body.description))


@routes.post("/cv-models/{model_id}/save")
async def save(model_id: str, body: RenameBody, core: TheCore, caller: TheCaller) -> ModelAnswer:
    return ModelAnswer.of(await models.save_model(core, caller, model_id, body.name, body.description))


@routes.delete("/cv-models/{model_id}")
async def delete(model_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await models.delete_model(core, caller, model_id)
    return Removed(id=model_id)
