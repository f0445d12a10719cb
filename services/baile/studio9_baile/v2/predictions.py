"""CV predictions."""

from studio9_baile.usecases import predictions
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.predictions import NewPrediction
from studio9_baile.v2.dependencies import TheCaller, TheCore
from studio9_baile.v2.routing import router
from studio9_baile.v2.runs import add_run_routes
from studio9_baile.v2.wire.base import Listed
from studio9_baile.v2.wire.predictions import NewPredictionBody, OptionsBody, PredictionAnswer
from studio9_common.errors import BadInput

routes = router()
add_run_routes(
    routes,
    "cv-predictions",
    Kind.CV_PREDICTION,
    answer=PredictionAnswer,
    item=PredictionAnswer,
    listed=Listed[PredictionAnswer],
    delete=predictions.delete_prediction,
)


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
