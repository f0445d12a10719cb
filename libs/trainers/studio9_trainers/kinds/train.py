"""Kind `train`: a model from labelled pictures, with its figures on them and on the test pictures."""

from collections.abc import Iterator

from studio9_task.layout import MODEL
from studio9_task.lines import write_lines
from studio9_task.parameters import Thresholds
from studio9_task.request import TaskRequest
from studio9_task.results import Evaluation, PredictedPicture, StepCount, TrainResult
from studio9_trainers.config import TrainingConfig, training_config
from studio9_trainers.data.dataset import PictureSet, not_parted, read_pictures, split_off
from studio9_trainers.data.marks import marked
from studio9_trainers.errors import BadInput
from studio9_trainers.frameworks import catalogue
from studio9_trainers.inference import Inference, Seen
from studio9_trainers.kinds.judged import best_thresholds, store_chosen, tell_report
from studio9_trainers.kinds.material import described
from studio9_trainers.kinds.preparing import bloated, check
from studio9_trainers.machine import ran
from studio9_trainers.models import Model
from studio9_trainers.run import Run
from studio9_trainers.trainer import Trained, get_trainer
from studio9_trainers.truth import check_learnable, labels_of

FIGURES = ("map50", "map50_95", "recall_at_025", "precision_at_025", "accuracy", "reconstruction_loss")
"""Those of the final evaluation that are told as metrics, where a task has them."""


def train(run: Run, request: TaskRequest) -> TrainResult:
    """Do it. Outputs: `model.pt`, checkpoints, `predictions.jsonl` of all inputs' pictures, and `report.json` and
    `judged.jsonl` of the test pictures, else of those that validated."""
    config = training_config(request.parameters, catalogue(), request.seed, begun=MODEL in request.inputs)
    with run.timed("data_loading"):
        whole, fitted, val, inputs = _pictures(run, request, config)
    fitted, copies = bloated(run, config, fitted)
    trainer = get_trainer(
        request.framework,
        config.task,
        config=config,
        train=fitted,
        val=val,
        begin=run.folder.model if MODEL in request.inputs else None,
        run=run,
        final_pictures=sum(len(one) for one in inputs),
    )
    with run.timed("training"):
        trained = trainer.train()
    path = run.folder.outputs / "model.pt"
    with run.timed("model_saving"):
        written = trained.model.save(path)
    figures, chosen = _predict(run, trained.model, config, inputs, val)
    if chosen is not None:
        with run.timed("model_saving"):
            written = store_chosen(path, chosen)
    run.events.artifact("model", written, "application/vnd.studio9.model")
    return _result(run, request, config, trained, whole, figures, copies, chosen)


def _pictures(
    run: Run, request: TaskRequest, config: TrainingConfig
) -> tuple[PictureSet, PictureSet, PictureSet, list[PictureSet]]:
    """(all labelled for training, to fit, to validate, all to predict at the end)."""
    if "train" not in request.inputs:
        raise BadInput("inputs: there is no train input: give the training album.")
    whole = marked(config.task, read_pictures(run.folder, "train"))
    check_learnable(config.task, whole)
    inputs = [whole]
    if "val" in request.inputs:
        fitted, val = whole, marked(config.task, read_pictures(run.folder, "val"))
        inputs.append(val)
    else:
        fitted, val = split_off(whole, config.validation_fraction)
        if len(val) == len(whole):
            run.warn("no_validation", f"{not_parted(whole)} They validate themselves.")
    if "test" in request.inputs:
        test = marked(config.task, read_pictures(run.folder, "test"))
        inputs.append(test)
        _compare(run, config, whole, test)
    check(run, inputs, config.thresholds.labels)
    return whole, fitted, val, inputs


def _compare(run: Run, config: TrainingConfig, whole: PictureSet, test: PictureSet) -> None:
    if unknown := sorted(set(labels_of(config.task, test)) - set(labels_of(config.task, whole))):
        run.warn("unknown_labels", f"The test pictures show labels that training does not: {', '.join(unknown)}.")


def _predict(
    run: Run, model: Model, config: TrainingConfig, inputs: list[PictureSet], val: PictureSet
) -> tuple[dict[str, Evaluation], Thresholds | None]:
    """Predict all pictures once and evaluate each input, and the part of train that validated.

    Also the thresholds that are best on the validation pictures, where some were held back.
    """
    figures: dict[str, Evaluation] = {}
    chosen: Thresholds | None = None
    judged: tuple[Seen, str, set[str] | None] | None = None
    total = sum(len(one) for one in inputs)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        if done % 50 == 0:
            run.events.progress(0.95 + 0.05 * done / total, epoch=config.epochs, epochs=config.epochs)

    inference = Inference(run, model, config.thresholds, one_more)
    own = {picture.record.picture_id for picture in inputs[0].pictures}
    held = own & {picture.record.picture_id for picture in val.pictures}

    def all_predictions() -> Iterator[PredictedPicture]:
        nonlocal chosen, judged
        for pictures in inputs:
            unknown = sorted(set(labels_of(config.task, pictures)) - set(model.names))
            seen = Seen(names=(*model.names, *unknown))
            yield from inference.predict(pictures, seen, judge=True)
            with run.timed("evaluation"):
                figures[pictures.name] = seen.figures(config.thresholds, pictures.name)
                if pictures.name == "train" and 0 < len(held) < len(pictures):
                    figures["val"] = seen.figures(config.thresholds, "val", only=held)
                    chosen = best_thresholds(seen, config.thresholds, only=held)
                    judged = seen, "val", held
                elif pictures.name == "val":
                    chosen = best_thresholds(seen, config.thresholds)
                if pictures.name != "train":
                    judged = seen, pictures.name, None

    with run.timed("prediction"):
        written, _ = write_lines(run.folder.outputs / "predictions.jsonl", all_predictions())
    run.seconds["prediction"] -= run.seconds.get("evaluation", 0.0)
    run.events.artifact("predictions", written, "application/jsonl")
    if judged is not None:  # of the pictures that were least learned from
        seen, name, only = judged
        tell_report(run, model, seen, config.thresholds, name, only, drawn=False)
    return figures, chosen


def _result(
    run: Run,
    request: TaskRequest,
    config: TrainingConfig,
    trained: Trained,
    whole: PictureSet,
    figures: dict[str, Evaluation],
    copies: tuple[StepCount, ...],
    chosen: Thresholds | None,
) -> TrainResult:
    for split in ("train", "val", "test"):
        if (figure := figures.get(split)) is not None:
            for key in FIGURES:
                if (value := getattr(figure, key)) is not None:
                    run.events.metric(f"final/{key}", value, step=trained.epochs_done, split=split)
    return TrainResult(
        framework=request.framework,
        architecture=config.architecture,
        head=config.head,
        labels=trained.model.names,
        pictures=len(whole),
        boxes=whole.boxes,
        epochs=config.epochs,
        epochs_done=trained.epochs_done,
        best_epoch=trained.best_epoch,
        resumed_from=trained.resumed_from,
        train=figures.get("train"),
        val=figures.get("val"),
        test=figures.get("test"),
        augmentation=copies,
        chosen=chosen,
        timings=run.timings(),
        effective=config.model_dump(mode="json")
        | dict(trained.effective)
        | {"input_size": trained.input_size, "datasets": described(run.folder, request.inputs)},
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )
