"""An evaluation's curves and matrix as PNG pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from studio9_task.analysis import Analysis
from studio9_task.judgement import Calibration, EvaluationReport, Points
from studio9_task.results import ConfusionMatrix

MOST_LINES = 10
"""Labels with a line of their own; of more, those with the most boxes."""
MOST_CELLS = 60
"""A matrix of more labels is drawn without its numbers and names."""

RECALLS = np.linspace(0, 1, 101)


def curve_plots(report: EvaluationReport) -> dict[str, bytes]:
    """By name: precision over recall, and precision, recall and F1 over the confidence."""
    known = [one for one in report.curves if one.boxes]
    most = sorted(known, key=lambda one: -one.boxes)[:MOST_LINES]
    shown = [one for one in known if one in most]
    recall = [(f"{one.label}  {one.ap50 or 0:.3f}", one.precision_at_recall) for one in shown]
    plots = {"precision-recall": _lines(f"mAP50 {report.map50:.3f}", "recall", "precision", recall)}
    for name in ("precision", "recall", "f1"):
        lines = [(one.label, getattr(one, name)) for one in shown]
        plots[name] = _lines(f"{name} at IoU 0.5", "confidence", name, lines)
    return plots


def confusion_plot(confusion: ConfusionMatrix) -> bytes:
    """Rows are what is there, columns what was predicted; colours are parts of the row."""
    matrix = np.array(confusion.matrix, dtype=float)
    total = matrix.sum(axis=1, keepdims=True)
    parts = np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)
    names = [*map(plain, confusion.labels), "background"]
    small = len(names) <= MOST_CELLS
    side = 2.5 + 0.45 * min(len(names), 40)
    figure, axes = _figure(side + 1, side)
    axes.imshow(parts, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="actual")
    if small:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if parts[row, column] > 0.5 else "black"
            count = f"{int(matrix[row, column])}"
            axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=7)
    return _png(figure)


def reliability_plot(calibration: Calibration) -> bytes:
    """How many predictions are right, by their confidence; on the diagonal they can be taken at their word."""
    figure, axes = _figure(5, 4)
    known = [one for one in calibration.bins if one.right is not None]
    axes.bar(
        [one.low for one in known], [one.right for one in known], width=1 / len(calibration.bins), align="edge",
        edgecolor="white",
    )  # fmt: skip
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.set(
        xlabel="confidence",
        ylabel="part that is right",
        xlim=(0, 1),
        ylim=(0, 1.02),
        title=f"expected error {calibration.expected_error:.3f}",
    )
    return _png(figure)


def analysis_plots(analysis: Analysis) -> dict[str, bytes]:
    """By name: boxes of each label, and the sizes of all."""
    shown = sorted(analysis.labels.items(), key=lambda one: -one[1].boxes)[:MOST_CELLS]
    figure, axes = _figure(6.5, 1 + 0.25 * max(len(shown), 2))
    axes.barh([plain(label) for label, _ in shown], [group.boxes for _, group in shown])
    axes.invert_yaxis()
    axes.set(xlabel="boxes")
    plots = {"labels": _png(figure)}
    figure, axes = _figure(6.5, 3.5)
    sizes = analysis.all.sizes
    names = [f"{low:g}-{high:g}" for low, high in zip(sizes.edges, sizes.edges[1:], strict=False)]
    axes.bar(names, sizes.counts)
    axes.tick_params(axis="x", rotation=45)
    axes.set(xlabel="side in pixels", ylabel="boxes")
    return plots | {"sizes": _png(figure)}


def _lines(title: str, below: str, beside: str, lines: Sequence[tuple[str, Points]]) -> bytes:
    figure, axes = _figure(6.5, 4)
    for label, points in lines:
        if points:
            values = [np.nan if value is None else value for value in points]
            axes.plot(RECALLS, values, label=plain(label), linewidth=1.5)
    axes.set(title=title, xlabel=below, ylabel=beside, xlim=(0, 1), ylim=(0, 1.02))
    if any(points for _, points in lines):
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(alpha=0.3)
    return _png(figure)


def plain(text: str, limit: int = 30) -> str:
    """A label as a plot can show it: short, and without what would be read as a formula."""
    short = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return short.replace("$", r"\$").replace("\n", " ").lstrip("_")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _png(figure: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()
