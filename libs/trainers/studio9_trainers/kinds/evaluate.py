"""Kind `evaluate`: a model's figures on labelled pictures."""

from pydantic import ValidationError

from studio9_task.lines import write_lines
from studio9_task.parameters import EvaluateParameters
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import EvaluateResult
from studio9_trainers.data.dataset import read_pictures
from studio9_trainers.data.marks import marked
from studio9_trainers.errors import UserError
from studio9_trainers.inference import Inference, Seen
from studio9_trainers.kinds.judged import tell_report
from studio9_trainers.kinds.material import described, task_of
from studio9_trainers.machine import ran
from studio9_trainers.merging.sliced import sliced
from studio9_trainers.progress import PictureCount
from studio9_trainers.run import Run
from studio9_trainers.trainer import get_trainer
from studio9_trainers.truth import check_judgeable, labels_of


def evaluate(run: Run, request: TaskRequest) -> EvaluateResult:
    """Do it. Inputs: `model`, `test`. Outputs: `predictions.jsonl`; but for a decoder `report.json` and
    `plots/*.png`; of a detector `judged.jsonl`."""
    try:
        parameters = EvaluateParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    with run.timed("data_loading"):
        pictures = read_pictures(run.folder, "test")
    task = task_of(run.folder.model)
    pictures = marked(task, pictures)
    check_judgeable(task, pictures)
    with run.timed("model_loading"):
        model = get_trainer(request.framework, task, run=run).load(run.folder.model)
    model = sliced(model, parameters.sliced)
    thresholds = parameters.thresholds or model.thresholds
    if unknown := sorted(set(labels_of(task, pictures)) - set(model.names)):
        run.warn("unknown_labels", f"The pictures show labels that the model does not know: {', '.join(unknown)}.")
    seen = Seen(names=(*model.names, *unknown))
    inference = Inference(run, model, thresholds, PictureCount(run.events, len(pictures)).one_more)
    with run.timed("prediction"):
        written, _ = write_lines(
            run.folder.outputs / "predictions.jsonl", inference.predict(pictures, seen, judge=True)
        )
    run.events.artifact("predictions", written, "application/jsonl")
    with run.timed("evaluation"):
        figures = seen.figures(thresholds, "test")
        tell_report(run, model, seen, thresholds, "test")
    return EvaluateResult(
        framework=request.framework,
        labels=model.names,
        test=figures,
        timings=run.timings(),
        effective={
            "thresholds": thresholds.model_dump(mode="json"),
            "sliced": parameters.sliced.model_dump(mode="json") if parameters.sliced else None,
            "datasets": described(run.folder, request.inputs),
        },
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )
