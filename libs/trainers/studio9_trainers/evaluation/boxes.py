"""What became of every single box of a picture."""

import numpy as np

from studio9_task.judgement import JudgedBox, JudgedPicture, TrueBox
from studio9_task.parameters import Thresholds
from studio9_trainers.data.dataset import Picture
from studio9_trainers.evaluation.figures import Judged
from studio9_trainers.evaluation.matching import covered, match, overlaps


def judge_boxes(
    picture: Picture, one: Judged, names: tuple[str, ...], thresholds: Thresholds, source: str
) -> JudgedPicture:
    """The fate of each true and each predicted box at the job's thresholds, matched as in the confusion matrix."""
    found = one.found.at(thresholds, names)
    taken = match(found, one.corners, ignore=one.ignore)
    overlap, inside = overlaps(found.corners, one.corners), covered(found.corners, one.corners)
    predicted = []
    for row, at in enumerate(taken):
        passed_over = bool(at >= 0 and one.ignore[at])
        iou = None if at < 0 else float((inside if passed_over else overlap)[row, at])
        predicted.append(
            JudgedBox(
                label=names[found.labels[row]],
                confidence=_part(found.confidences[row]),
                **_sides(found.corners[row]),
                right=bool(at >= 0 and not passed_over and one.labels[at] == found.labels[row]),
                counts=not passed_over,
                matched=int(at) if at >= 0 else None,
                iou=None if iou is None else _part(iou),
                scores=None
                if found.scores is None
                else {name: _part(score) for name, score in zip(names, found.scores[row], strict=False)},
            )
        )
    true = tuple(
        TrueBox(
            label=names[label],
            **_sides(corners),
            ignore=bool(ignore),
            found=bool((taken == number).any()),
        )
        for number, (corners, label, ignore) in enumerate(zip(one.corners, one.labels, one.ignore, strict=True))
    )
    record = picture.record
    return JudgedPicture(
        picture_id=record.picture_id,
        input=source,
        sha256=record.sha256,
        filename=record.filename,
        true=true,
        predicted=tuple(predicted),
    )


def _sides(corners: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> dict[str, float]:
    left, top, right, bottom = (float(value) for value in corners)
    return {
        "left": round(left, 3), "top": round(top, 3), "width": round(right - left, 3), "height": round(bottom - top, 3)
    }  # fmt: skip


def _part(value: float) -> float:
    return round(min(1.0, max(0.0, float(value))), 6)
