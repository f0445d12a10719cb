"""Results come back, and their summary fits an event."""

from studio9_task.events import MAX_EVENT
from studio9_task.layout import TaskFolder
from studio9_task.lines import write_lines
from studio9_task.report import EventWriter
from studio9_task.results import (
    RESULT,
    ConfusionMatrix,
    Evaluation,
    LabelFigures,
    PredictedBox,
    PredictedPicture,
    TrainResult,
    read_predictions,
    summary,
)


def a_result(labels: int) -> TrainResult:
    names = tuple(f"label {number}" for number in range(labels))
    figures = (LabelFigures(label=name, ap50=0.9, ap50_95=0.5, boxes=1, predicted=1) for name in names)
    evaluation = Evaluation(
        input="test", pictures=4, boxes=9, predicted=8, labels=names, map50=0.9, map50_95=0.5,
        recall_at_025=0.8, precision_at_025=0.7,
        per_class=tuple(figures),
        confusion=ConfusionMatrix(labels=names, matrix=tuple((0,) * (labels + 1) for _ in range(labels + 1))),
    )  # fmt: skip
    return TrainResult(
        framework="yolo", architecture="YOLO11N", head="YOLO_HEAD", labels=names, pictures=4, boxes=9,
        epochs=3, epochs_done=3, test=evaluation,
    )  # fmt: skip


def test_a_small_result_is_its_own_summary() -> None:
    result = a_result(10)
    assert RESULT.validate_python(summary(result)) == result


def test_a_large_result_loses_its_tables_only(folder: TaskFolder) -> None:
    result = a_result(300)
    assert len(result.model_dump_json()) > MAX_EVENT
    small = summary(result)
    with EventWriter(folder.events, folder.outputs) as events:
        events.result(small)
    read = RESULT.validate_python(small)
    assert isinstance(read, TrainResult)
    assert read.test is not None
    assert (read.test.map50, read.test.confusion, len(read.labels)) == (0.9, None, 300)


def test_predictions_come_back(folder: TaskFolder) -> None:
    box = PredictedBox(label="a", confidence=0.5, left=0, top=0, width=2, height=2, index=0)
    pictures = [
        PredictedPicture(picture_id="p", input="test", sha256="a" * 64, width=4, height=4, boxes=(box,)),
        PredictedPicture(
            picture_id="q", input="test", sha256="b" * 64, width=4, height=4, label="a", scores={"a": 1.0}
        ),
    ]
    write_lines(folder.outputs / "predictions.jsonl", pictures)
    assert list(read_predictions(folder.outputs / "predictions.jsonl")) == pictures
