"""Kind `predict`: a model's boxes on pictures."""

from pydantic import ValidationError

from studio9_task.lines import write_lines
from studio9_task.parameters import PredictParameters
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import PredictResult
from studio9_trainers.data.dataset import read_pictures
from studio9_trainers.errors import UserError
from studio9_trainers.inference import Inference, Seen
from studio9_trainers.kinds.material import described, task_of
from studio9_trainers.machine import ran
from studio9_trainers.merging.sliced import sliced
from studio9_trainers.progress import PictureCount
from studio9_trainers.run import Run
from studio9_trainers.trainer import get_trainer


def predict(run: Run, request: TaskRequest) -> PredictResult:
    """Do it. Inputs: `model`, `predict`. Output: `predictions.jsonl`, one line for each picture that decodes."""
    try:
        parameters = PredictParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    with run.timed("data_loading"):
        pictures = read_pictures(run.folder, "predict", judge=False)
    with run.timed("model_loading"):
        model = get_trainer(request.framework, task_of(run.folder.model), run=run).load(run.folder.model)
    model = sliced(model, parameters.sliced)
    thresholds = parameters.thresholds or model.thresholds
    seen = Seen(names=model.names)
    inference = Inference(run, model, thresholds, PictureCount(run.events, len(pictures)).one_more)
    with run.timed("prediction"):
        written, _ = write_lines(
            run.folder.outputs / "predictions.jsonl", inference.predict(pictures, seen, judge=False)
        )
    run.events.artifact("predictions", written, "application/jsonl")
    return PredictResult(
        framework=request.framework,
        labels=model.names,
        pictures=seen.pictures,
        pictures_without=seen.without,
        pictures_failed=seen.failed,
        boxes=seen.boxes,
        timings=run.timings(),
        effective={
            "thresholds": thresholds.model_dump(mode="json"),
            "sliced": parameters.sliced.model_dump(mode="json") if parameters.sliced else None,
            "datasets": described(run.folder, request.inputs),
        },
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )
