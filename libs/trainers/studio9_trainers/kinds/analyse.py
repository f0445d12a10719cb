"""Kind `analyse`: counts, sizes, density and coverage of what was predicted or labelled."""

from collections.abc import Iterator

from pydantic import ValidationError

from studio9_task.analysis import AnalyseParameters
from studio9_task.lines import write_lines
from studio9_task.outputs import write_bytes
from studio9_task.pictures import PictureRecord, read_manifest
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import AnalyseResult, PredictedBox, PredictedPicture, read_predictions
from studio9_trainers.errors import UserError
from studio9_trainers.evaluation.analysis import analyse as analysed
from studio9_trainers.evaluation.plots import analysis_plots
from studio9_trainers.kinds.material import described
from studio9_trainers.machine import ran
from studio9_trainers.run import Run

INPUT = "pictures"


def analyse(run: Run, request: TaskRequest) -> AnalyseResult:
    """Do it. Input: `pictures`. Outputs: `analysis.json`, `analysis.jsonl` with a line a picture, `plots/*.png`."""
    try:
        parameters = AnalyseParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    with run.timed("data_loading"):
        pictures = list(_predicted(run))
    with run.timed("evaluation"):
        analysis, each = analysed(pictures, INPUT, parameters.projects)
    outputs = run.folder.outputs
    whole = write_bytes(outputs / "analysis.json", analysis.model_dump_json(exclude_none=True).encode())
    run.events.artifact("analysis", whole, "application/json")
    lines, _ = write_lines(outputs / "analysis.jsonl", each)
    run.events.artifact("analysis.pictures", lines, "application/jsonl")
    for name, content in analysis_plots(analysis).items():
        run.events.artifact(f"plot.{name}", write_bytes(outputs / "plots" / f"{name}.png", content), "image/png")
    return AnalyseResult(
        framework=request.framework,
        labels=tuple(analysis.labels),
        pictures=analysis.pictures,
        pictures_without=analysis.pictures_without,
        boxes=analysis.all.boxes,
        timings=run.timings(),
        effective={"datasets": described(run.folder, request.inputs)},
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )


def _predicted(run: Run) -> Iterator[PredictedPicture]:
    given = run.folder.input(INPUT) / "predictions.jsonl"
    if given.is_file():
        yield from read_predictions(given)
    else:
        for record in read_manifest(run.folder.manifest(INPUT)):
            yield _as_predicted(record)


def _as_predicted(record: PictureRecord) -> PredictedPicture:
    return PredictedPicture(
        picture_id=record.picture_id,
        input=INPUT,
        sha256=record.sha256,
        width=record.width,
        height=record.height,
        boxes=tuple(
            PredictedBox(
                label=box.label, confidence=1.0, left=box.left, top=box.top, width=box.width, height=box.height,
                index=index,
            )
            for index, box in enumerate(record.boxes)
        ),
    )  # fmt: skip
