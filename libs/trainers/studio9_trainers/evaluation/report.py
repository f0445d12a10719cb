"""An evaluation's whole account, written beside its figures: report.json, judged.jsonl and pictures of both."""

from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest
from pathlib import Path

import numpy as np

from studio9_task.judgement import EvaluationReport, JudgedPicture
from studio9_task.lines import write_lines
from studio9_task.outputs import write_bytes
from studio9_task.parameters import Thresholds
from studio9_task.report import EventWriter
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import decode
from studio9_trainers.evaluation.average_precision import average_precision
from studio9_trainers.evaluation.boxes import judge_boxes
from studio9_trainers.evaluation.calibration import calibration
from studio9_trainers.evaluation.curves import label_curves, ranked
from studio9_trainers.evaluation.figures import Judged, confusion_matrix
from studio9_trainers.evaluation.showing import with_boxes

SHOWN = 12
"""How many of the worst pictures are drawn."""


def make_report(
    pictures: list[Judged],
    names: tuple[str, ...],
    thresholds: Thresholds,
    source: str,
    framework: Mapping[str, float] | None = None,
) -> EvaluationReport:
    """Figures, curves, matrix and calibration of one input.

    `framework` are the framework's own figures; they stand beside ours under their own names.
    """
    most = max(100, thresholds.max_boxes)
    precision = average_precision(pictures, len(names), most)
    each = ranked(pictures, len(names))
    return EvaluationReport(
        input=source,
        pictures=len(pictures),
        boxes=sum(one.boxes for one in each),
        labels=names,
        thresholds=thresholds,
        map50=precision.map50,
        map50_95=precision.map50_95,
        max_boxes=most,
        framework=framework or {},
        curves=label_curves(each, names, precision),
        confusion=confusion_matrix(pictures, names, thresholds),
        calibration=calibration(
            np.concatenate([np.zeros(0), *(one.confidences for one in each)]),
            np.concatenate([np.zeros(0), *(one.right for one in each)]),
        ),
    )


def write_report(
    outputs: Path,
    events: EventWriter,
    report: EvaluationReport,
    pictures: Sequence[tuple[Picture, Judged]],
    stopped: Callable[[], None] = lambda: None,
    drawn: bool = True,
) -> None:
    """Write and announce `report.json` and `judged.jsonl`; with `drawn` also `plots/*.png` and the worst pictures.

    `stopped` is called between pictures and may raise.
    """
    written = write_bytes(outputs / "report.json", report.model_dump_json(exclude_none=True).encode())
    events.artifact("report", written, "application/json")
    judged: list[JudgedPicture] = []
    for picture, one in pictures:
        stopped()
        judged.append(judge_boxes(picture, one, report.labels, report.thresholds, report.input))
    lines, _ = write_lines(outputs / "judged.jsonl", judged)
    events.artifact("judged", lines, "application/jsonl")
    if drawn:
        _draw(outputs, events, report, pictures, judged, stopped)


def _draw(
    outputs: Path,
    events: EventWriter,
    report: EvaluationReport,
    pictures: Sequence[tuple[Picture, Judged]],
    judged: Sequence[JudgedPicture],
    stopped: Callable[[], None],
) -> None:
    from studio9_trainers.evaluation.plots import confusion_plot, curve_plots, reliability_plot  # takes a second

    plots = curve_plots(report) | {
        "confusion": confusion_plot(report.confusion),
        "reliability": reliability_plot(report.calibration),
    }
    worst = nlargest(SHOWN, (number for number, one in enumerate(judged) if one.wrong), lambda at: judged[at].wrong)
    for place, number in enumerate(worst, 1):
        stopped()
        pixels = decode(pictures[number][0].path, judged[number].filename)
        plots[f"worst-{place:02d}"] = with_boxes(pixels, judged[number])
    for name, content in plots.items():
        events.artifact(f"plot.{name}", write_bytes(outputs / "plots" / f"{name}.png", content), "image/png")
