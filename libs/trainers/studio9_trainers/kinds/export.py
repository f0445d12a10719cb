"""Kind `export`: a trained model as files for other programs, compared with the model itself, and its card."""

import hashlib

from pydantic import ValidationError

from studio9_task.outputs import Written
from studio9_task.parameters import ExportParameters
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import ExportResult
from studio9_trainers.data.dataset import read_pictures
from studio9_trainers.data.marks import marked
from studio9_trainers.errors import UserError
from studio9_trainers.export.card import Provenance
from studio9_trainers.export.exporting import Exporter
from studio9_trainers.export.parity import LEAST_PICTURES
from studio9_trainers.files import read_model
from studio9_trainers.kinds.material import described
from studio9_trainers.machine import ran
from studio9_trainers.run import Run
from studio9_trainers.trainer import get_trainer

MEDIA = {".onnx": "application/onnx", ".md": "text/markdown", ".xml": "application/xml"}


def export(run: Run, request: TaskRequest) -> ExportResult:
    """Do it. Inputs: `model`, and `test` where there are pictures to compare on. Outputs: the files, and `card.md`."""
    try:
        parameters = ExportParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    with run.timed("data_loading"):
        pictures = read_pictures(run.folder, "test") if "test" in request.inputs else None
    with run.timed("model_loading"):
        file = read_model(run.folder.model)
        pictures = marked(file.task, pictures) if pictures is not None else None
        model = get_trainer(request.framework, file.task, run=run).load(run.folder.model)
    if pictures is None or len(pictures) < LEAST_PICTURES:
        run.warn(
            "not_judged",
            f"Whether an export is exact is judged on {LEAST_PICTURES} pictures or more: give them as test.",
        )
    digest = hashlib.sha256(run.folder.model.read_bytes()).hexdigest()
    known = Provenance(name=parameters.name, licence=parameters.licence, parents=(*parameters.parents, digest))

    def done(written: Written) -> None:
        media = MEDIA.get(written.path.suffix, "application/octet-stream")
        run.events.artifact(written.path.name, written, media)

    exporter = Exporter(model, file, run.folder.outputs, pictures, done)
    with run.timed("model_saving"):
        found = exporter.export(parameters.formats, known, digest)
    for one in found:
        if one.accepted is False:
            run.warn("export_differs", f"{one.format} differs from the model by more than it may: see the card.")
    return ExportResult(
        framework=request.framework,
        labels=model.names,
        formats=tuple(found),
        timings=run.timings(),
        effective=parameters.model_dump(mode="json") | {"datasets": described(run.folder, request.inputs)},
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )
