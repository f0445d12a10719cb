"""What is told of judged boxes beyond the figures of a result."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from studio9_task.outputs import Written
from studio9_task.parameters import Thresholds
from studio9_trainers.evaluation.accuracy import JudgedLabel
from studio9_trainers.evaluation.choosing import choose_thresholds
from studio9_trainers.evaluation.figures import HasOwnFigures, Judged
from studio9_trainers.evaluation.label_report import make_label_report, write_label_report
from studio9_trainers.evaluation.report import make_report, write_report
from studio9_trainers.files import read_model, save_model
from studio9_trainers.inference import Seen
from studio9_trainers.models import Model
from studio9_trainers.run import Run


def best_thresholds(seen: Seen, base: Thresholds, only: Collection[str] | None = None) -> Thresholds | None:
    """Those with the best F1 on validation pictures, all or those with these ids; none where no boxes were judged."""
    pictures = [
        one
        for one, owner in zip(seen.judged, seen.owners, strict=True)
        if isinstance(one, Judged) and (only is None or owner.record.picture_id in only)
    ]
    return choose_thresholds(pictures, seen.names, "val", base).thresholds if pictures else None


def store_chosen(path: Path, chosen: Thresholds) -> Written:
    """Write them into a model file."""
    return save_model(path, replace(read_model(path), chosen=chosen))


def tell_report(
    run: Run,
    model: Model,
    seen: Seen,
    thresholds: Thresholds,
    source: str,
    only: Collection[str] | None = None,
    drawn: bool = True,
) -> None:
    """Write and announce the report of a detector or a classifier; of a decoder there is nothing more to tell.

    `only`: of the pictures with these ids; `drawn`: with plots, and the worst pictures with their boxes.
    """
    known = [
        (owner, one)
        for owner, one in zip(seen.owners, seen.judged, strict=True)
        if only is None or owner.record.picture_id in only
    ]
    pictures = [(owner, one) for owner, one in known if isinstance(one, Judged)]
    if pictures:
        boxes = [one for _, one in pictures]
        own = model.own_figures(boxes, len(seen.names)) if isinstance(model, HasOwnFigures) else {}
        report = make_report(boxes, seen.names, thresholds, source, own)
        write_report(run.folder.outputs, run.events, report, pictures, run.stop.check, drawn)
    if labels := [one for _, one in known if isinstance(one, JudgedLabel)]:
        write_label_report(run.folder.outputs, run.events, make_label_report(labels, seen.names, source), drawn)
