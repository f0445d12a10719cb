"""CV predictions."""

from studio9_baile.usecases import predictions
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.listing import list_assets
from studio9_baile.usecases.predictions import NewPrediction
from studio9_baile.v2.albums import Shared
from studio9_baile.v2.dependencies import TheCaller, TheCore, ThePage, TheShelf
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.models import RenameBody
from studio9_baile.v2.wire.predictions import NewPredictionBody, OptionsBody, PredictionAnswer
from studio9_common.errors import BadInput

routes = router()


@routes.get("/cv-predictions")
async def list_predictions(
    core: TheCore, caller: TheCaller, page: ThePage, shelf: TheShelf
) -> Listed[PredictionAnswer]:
    found, count = await list_assets(core, caller, Kind.CV_PREDICTION, shelf, page)
    return Listed(data=[PredictionAnswer.of(one) for one in found], count=count)


@routes.post("/cv-predictions")
async def create(body: NewPredictionBody, core: TheCore, caller: TheCaller) -> PredictionAnswer:
    options = body.options or OptionsBody()
    if options.loi is not None and not options.loi:
        raise BadInput(
            "No values for labels of interest were provided", field="options.loi", fix="name labels or leave it out"
        )
    new = NewPrediction(
        model=body.modelId,
        input=body.input,
        name=body.name,
        output_name=body.outputAlbumName,
        description=body.description,
        evaluate=bool(body.evaluate),
        labels=[one.of_interest() for one in options.loi or ()],
        threshold=options.defaultVisualThreshold,
        iou=options.iouThreshold,
        options=body.options.model_dump(exclude_none=True) if body.options else None,
    )
    return PredictionAnswer.of(await predictions.create_prediction(core, caller, new))


@routes.get("/cv-predictions/{prediction_id}")
async def get(prediction_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> PredictionAnswer:
    return PredictionAnswer.of(await predictions.get_prediction(core, caller, prediction_id, share))


@routes.put("/cv-predictions/{prediction_id}")
async def update(prediction_id: str, body: RenameBody, core: TheCore, caller: TheCaller) -> PredictionAnswer:
    changed = await predictions.update_prediction(core, caller, prediction_id, body.name, body.description)
    return PredictionAnswer.of(changed)


@routes.delete("/cv-predictions/{prediction_id}")
async def delete(prediction_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await predictions.delete_prediction(core, caller, prediction_id)
    return Removed(id=prediction_id)
