"""Results in the form that Salsa shows: summaries with a confusion matrix, and where the time went."""

from typing import Any

from studio9_baile.jobs.news import Ended
from studio9_task.results import Evaluation, Timings, TrainResult


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Labels, mAP (at IoU 0.5), reconstruction loss and the confusion matrix as cells, as far as a model has them. A
    cell without `actual` counts detections where nothing is, one without `predicted` counts objects that were not
    found; indices are those of `labels`."""
    confusion = evaluation.confusion
    labels = list(confusion.labels if confusion is not None else evaluation.labels)
    found: dict[str, Any] = {"labels": labels}
    for name, value in (("mAP", evaluation.map50), ("reconstructionLoss", evaluation.reconstruction_loss)):
        if value is not None:
            found[name] = value
    if confusion is not None:
        background = len(labels)
        cells: list[dict[str, int]] = []
        for actual, row in enumerate(confusion.matrix):
            for predicted, count in enumerate(row):
                if count == 0 or (actual == background and predicted == background):
                    continue
                cell = {"actual": actual, "predicted": predicted, "count": count}
                if actual == background:
                    del cell["actual"]
                if predicted == background:
                    del cell["predicted"]
                cells.append(cell)
        found["confusionMatrix"] = cells
    return found


def train_times(timings: Timings, ended: Ended) -> dict[str, Any]:
    """Where a training's time went, in whole seconds."""
    return {
        "dataLoadingTime": round(timings.data_loading_s),
        "trainingTime": round(timings.training_s),
        "modelSavingTime": round(timings.model_saving_s),
        "initialPredictionTime": round(timings.prediction_s),
        **_job(ended),
        "pipelineDetails": _details(
            (timings.data_loading_s, "load pictures"),
            (timings.training_s, "train"),
            (timings.model_saving_s, "save model"),
            (timings.prediction_s, "predict all pictures"),
            (timings.evaluation_s, "evaluate"),
        ),
    }


def evaluation_times(timings: Timings, ended: Ended) -> dict[str, Any]:
    """Where an evaluation's time went, in whole seconds."""
    return {
        "modelLoadingTime": round(timings.model_loading_s),
        "dataLoadingTime": round(timings.data_loading_s),
        "scoreTime": round(timings.prediction_s + timings.evaluation_s),
        **_job(ended),
        "pipelineDetails": _details((timings.prediction_s, "predict"), (timings.evaluation_s, "evaluate")),
    }


def prediction_times(timings: Timings, ended: Ended) -> dict[str, Any]:
    """Where a prediction's time went, in whole seconds."""
    return {
        "modelLoadingTime": round(timings.model_loading_s),
        "dataLoadingTime": round(timings.data_loading_s),
        "predictionTime": round(timings.prediction_s),
        **_job(ended),
        "pipelineDetails": _details((timings.prediction_s, "predict")),
    }


def augmentation_times(timings: Timings, ended: Ended) -> dict[str, Any]:
    """Where an augmentation's time went, in whole seconds."""
    return {
        "dataLoadingTime": round(timings.data_loading_s),
        "augmentationTime": round(timings.augmentation_s),
        **_job(ended),
        "pipelineDetails": _details((timings.augmentation_s, "augment")),
    }


def augmentation_summary(result: TrainResult) -> list[dict[str, Any]]:
    """How many copies came of each augmentation, which is shown as the form posts it."""
    return [
        {
            "augmentation": one.augmentation.model_dump(mode="json", by_alias=True, exclude_none=True),
            "count": one.count,
        }
        for one in result.augmentation
    ]


def _job(ended: Ended) -> dict[str, int]:
    return {"tasksQueuedTime": round(ended.queued_s), "totalJobTime": round(ended.total_s)}


def _details(*parts: tuple[float, str]) -> list[dict[str, Any]]:
    return [{"time": round(seconds), "description": text} for seconds, text in parts if seconds >= 0.5]
