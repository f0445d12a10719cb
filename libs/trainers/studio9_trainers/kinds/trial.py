"""Kind `trial`: one set of a study's settings, trained to its next rung."""

import shutil
from pathlib import Path

from pydantic import ValidationError

from studio9_task.outputs import new_file
from studio9_task.parameters import Thresholds
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import Evaluation, TrialResult
from studio9_task.tuning import STATE, TrialParameters
from studio9_trainers.config import TrainingConfig, training_config
from studio9_trainers.data.dataset import PictureSet, not_parted, read_pictures, split_off
from studio9_trainers.data.marks import marked
from studio9_trainers.errors import BadInput, UserError
from studio9_trainers.frameworks import catalogue
from studio9_trainers.inference import Inference, Seen
from studio9_trainers.kinds.judged import best_thresholds, store_chosen
from studio9_trainers.kinds.material import described
from studio9_trainers.kinds.preparing import check
from studio9_trainers.machine import ran
from studio9_trainers.run import Run
from studio9_trainers.state.training import Place, read_state
from studio9_trainers.trainer import Trained
from studio9_trainers.truth import check_learnable, labels_of
from studio9_trainers.tuning.search import TrainingCandidate


def trial(run: Run, request: TaskRequest) -> TrialResult:
    """Do it, from the state of the last rung, or from this one's own checkpoint. Outputs: checkpoints, and `state.pt`
    at a rung before the last, else `model.pt`."""
    try:
        parameters = TrialParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    config = training_config(parameters.train.model_dump(), catalogue(), request.seed, begun=False)
    with run.timed("data_loading"):
        fitted, val = _pictures(run, request, config)
    begun = run.checkpoint or _state(run)
    candidate = TrainingCandidate(
        parameters.framework, config.task, config, fitted, val, run.folder.root, run.threads, checkpoint=begun, run=run
    )
    place = Place(epoch=0) if begun is None else _place(begun)
    if place.epoch > 0:
        candidate.fitness.append(place.best_fitness)
    with run.timed("training"):
        # An attempt that was lost after its last epoch has nothing left to learn.
        there = place.epoch >= parameters.epochs and parameters.epochs < config.epochs
        fitness = place.best_fitness if there else candidate.to(parameters.epochs)
    trained = candidate.trained if parameters.epochs >= config.epochs else None
    figures, chosen = (None, None) if trained is None or not parameters.judge else _judged(run, trained, config, val)
    _tell(run, candidate, trained, chosen)
    return TrialResult(
        framework=request.framework,
        labels=() if trained is None else trained.model.names,
        epochs_done=parameters.epochs if candidate.trained is None else candidate.trained.epochs_done,
        fitness=fitness,
        val=figures,
        timings=run.timings(),
        effective=config.model_dump(mode="json") | {"datasets": described(run.folder, request.inputs)},
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )


def _pictures(run: Run, request: TaskRequest, config: TrainingConfig) -> tuple[PictureSet, PictureSet]:
    """(to fit, to validate), held back alike in every trial."""
    if "train" not in request.inputs:
        raise BadInput("inputs: there is no train input: give the training album.")
    whole = marked(config.task, read_pictures(run.folder, "train"))
    check_learnable(config.task, whole)
    if "val" in request.inputs:
        val = marked(config.task, read_pictures(run.folder, "val"))
        check(run, [whole, val])
        return whole, val
    check(run, [whole])
    fitted, val = split_off(whole, config.validation_fraction)
    if len(val) == len(whole):
        raise BadInput(not_parted(whole))
    return fitted, val


def _state(run: Run) -> Path | None:
    path = run.folder.input(STATE) / f"{STATE}.pt"
    return path if path.is_file() else None


def _place(path: Path) -> Place:
    return Place(**read_state(path)["facts"]["place"])


def _judged(
    run: Run, trained: Trained, config: TrainingConfig, val: PictureSet
) -> tuple[Evaluation, Thresholds | None]:
    """The model's figures on the pictures that validated, and the thresholds that are best on them."""
    unknown = sorted(set(labels_of(config.task, val)) - set(trained.model.names))
    seen = Seen(names=(*trained.model.names, *unknown))
    with run.timed("prediction"):
        for _ in Inference(run, trained.model, config.thresholds, lambda: None).predict(val, seen, judge=True):
            pass  # what it keeps counts, not what it yields
    with run.timed("evaluation"):
        return seen.figures(config.thresholds, "val"), best_thresholds(seen, config.thresholds)


def _tell(run: Run, candidate: TrainingCandidate, trained: Trained | None, chosen: Thresholds | None) -> None:
    if trained is not None:
        path = run.folder.outputs / "model.pt"
        written = trained.model.save(path)
        if chosen is not None:
            written = store_chosen(path, chosen)
        run.events.artifact("model", written, "application/vnd.studio9.model")
    elif candidate.checkpoint is not None:
        with new_file(run.folder.outputs / f"{STATE}.pt") as new:
            shutil.copyfile(candidate.checkpoint, new.path)
        run.events.artifact(STATE, new.written)
