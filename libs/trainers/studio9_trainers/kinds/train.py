"""Kind `train`: a model from labelled pictures, with its figures on them and on the test pictures."""

from collections.abc import Iterator

from studio9_task.layout import MODEL
from studio9_task.lines import write_lines
from studio9_task.request import TaskRequest
from studio9_task.results import Evaluation, PredictedPicture, TrainResult
from studio9_trainers.config import TrainingConfig, training_config
from studio9_trainers.data.dataset import PictureSet, read_pictures, shared, split_off
from studio9_trainers.errors import BadInput
from studio9_trainers.evaluation.figures import evaluate
from studio9_trainers.inference import Inference, Seen
from studio9_trainers.machine import ran
from studio9_trainers.run import Run
from studio9_trainers.trainer import Detector, Trained, catalogue, get_trainer


def train(run: Run, request: TaskRequest) -> TrainResult:
    """Do it. Outputs: `model.pt`, checkpoints, `predictions.jsonl` of all inputs' pictures."""
    config = training_config(request.parameters, catalogue(), request.seed, begun=MODEL in request.inputs)
    with run.timed("data_loading"):
        whole, fitted, val, inputs = _pictures(run, request, config)
    final = sum(len(one) for one in inputs)
    trainer = get_trainer(request.framework)
    begin = run.folder.model if MODEL in request.inputs else None
    with run.timed("training"):
        trained = trainer.train(run, config, fitted, val, final, begin)
    with run.timed("model_saving"):
        written = trained.detector.save(run.folder.outputs / "model.pt")
        run.events.artifact("model", written, "application/vnd.studio9.model")
    figures = _predict(run, trained.detector, config, inputs, val)
    return _result(run, request, config, trained, whole, figures)


def _pictures(
    run: Run, request: TaskRequest, config: TrainingConfig
) -> tuple[PictureSet, PictureSet, PictureSet, list[PictureSet]]:
    """(all labelled for training, to fit, to validate, all to predict at the end)."""
    if "train" not in request.inputs:
        raise BadInput("inputs: there is no train input: give the training album.")
    whole = read_pictures(run.folder, "train")
    if whole.boxes == 0:
        raise BadInput("train: no picture has a box: label some.")
    inputs = [whole]
    if "val" in request.inputs:
        fitted, val = whole, read_pictures(run.folder, "val")
        inputs.append(val)
    else:
        fitted, val = split_off(whole, config.validation_fraction)
        if len(val) == len(whole):
            run.warn("no_validation", f"{len(whole)} pictures are too few to hold some back: they validate themselves.")
    if "test" in request.inputs:
        test = read_pictures(run.folder, "test")
        inputs.append(test)
        _compare(run, whole, test)
    return whole, fitted, val, inputs


def _compare(run: Run, whole: PictureSet, test: PictureSet) -> None:
    if overlap := shared(whole, test):
        run.warn(
            "test_overlaps_train", f"{overlap} of the {len(test)} test pictures were trained on: the figures flatter."
        )
    if unknown := sorted(set(test.labels) - set(whole.labels)):
        run.warn("unknown_labels", f"The test pictures show labels that training does not: {', '.join(unknown)}.")


def _predict(
    run: Run, detector: Detector, config: TrainingConfig, inputs: list[PictureSet], val: PictureSet
) -> dict[str, Evaluation]:
    """Predict all pictures once and evaluate each input, and the part of train that validated."""
    figures: dict[str, Evaluation] = {}
    total = sum(len(one) for one in inputs)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        if done % 50 == 0:
            run.events.progress(0.95 + 0.05 * done / total, epoch=config.epochs, epochs=config.epochs)

    inference = Inference(run, detector, config.thresholds, one_more)
    held = {picture.record.picture_id for picture in val.pictures}

    def all_predictions() -> Iterator[PredictedPicture]:
        for pictures in inputs:
            seen = Seen(names=(*detector.names, *sorted(set(pictures.labels) - set(detector.names))))
            yield from inference.predict(pictures, seen, judge=True)
            with run.timed("evaluation"):
                figures[pictures.name] = evaluate(seen.judged, seen.names, config.thresholds, pictures.name)
                part = [
                    one for one, owner in zip(seen.judged, seen.owners, strict=True) if owner.record.picture_id in held
                ]
                if pictures.name == "train" and part and len(part) < len(pictures):
                    figures["val"] = evaluate(part, seen.names, config.thresholds, "val")

    with run.timed("prediction"):
        written, _ = write_lines(run.folder.outputs / "predictions.jsonl", all_predictions())
    run.seconds["prediction"] -= run.seconds.get("evaluation", 0.0)
    run.events.artifact("predictions", written, "application/jsonl")
    return figures


def _result(
    run: Run,
    request: TaskRequest,
    config: TrainingConfig,
    trained: Trained,
    whole: PictureSet,
    figures: dict[str, Evaluation],
) -> TrainResult:
    for split in ("train", "val", "test"):
        if (figure := figures.get(split)) is not None:
            for key in ("map50", "map50_95", "recall_at_025", "precision_at_025"):
                run.events.metric(f"final/{key}", getattr(figure, key), step=trained.epochs_done, split=split)
    return TrainResult(
        framework=request.framework,
        architecture=config.architecture,
        head=config.head,
        labels=trained.detector.names,
        pictures=len(whole),
        boxes=whole.boxes,
        epochs=config.epochs,
        epochs_done=trained.epochs_done,
        best_epoch=trained.best_epoch,
        resumed_from=trained.resumed_from,
        train=figures.get("train"),
        val=figures.get("val"),
        test=figures.get("test"),
        timings=run.timings(),
        effective=config.model_dump(mode="json") | {"input_size": trained.input_size},
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )
