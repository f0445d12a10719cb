"""Which boxes stay, and to which of them each of the others belongs: greedy, strongest first, in about linear time.

A box belongs to the strongest kept box that it overlaps enough; where there is none, it is kept itself. That is what
non-maximum suppression and SAHI's greedy merging decide, with the same order among equals.

Kept boxes alone are looked up again. Each lies in one cell of a hashed grid, by its centre, on the level whose cells
are just larger than its longer side; a box is compared with the cells in which the centre of a match can lie.
"""

from typing import Any, Literal

import numpy as np

from studio9_trainers.merging.compiled import compiled

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Metric = Literal["iou", "ios"]
"""Intersection over union, or over the smaller of the two areas (for objects that a tile's border has cut)."""

LEVELS = 64
_MIDDLE = 32
"""Cells of level n are 2^(n - 32) pixels wide."""


def owners(boxes: Floats, scores: Floats, labels: Ints | None, threshold: float, metric: Metric = "iou") -> Ints:
    """For each box the index of the kept box that it belongs to; a kept one is its own.

    `boxes` are corners, one row each. With `labels` boxes of different labels never meet. `threshold` is the least
    overlap of two boxes of one object, above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold = {threshold}: give the least overlap of boxes of one object, above 0, at most 1")
    boxes = np.ascontiguousarray(boxes, dtype=np.float64).reshape(-1, 4)
    kinds = np.zeros(len(boxes), dtype=np.int64) if labels is None else np.ascontiguousarray(labels, dtype=np.int64)
    ordered = order(boxes, np.asarray(scores, dtype=np.float64))
    # In their order in memory too: neighbours in rank are looked at together.
    by_rank = _owners(boxes[ordered], kinds[ordered], threshold, metric == "iou")
    owned = np.empty(len(boxes), dtype=np.int64)
    owned[ordered] = ordered[by_rank]
    return owned


def order(boxes: Floats, scores: Floats) -> Ints:
    """Indices from the strongest box to the weakest; equals by left, top, right, bottom, then index."""
    found = np.argsort(-scores, kind="stable")
    ranked = scores[found]
    same = ranked[1:] == ranked[:-1]
    if same.any():
        tied = np.concatenate([same, [False]]) | np.concatenate([[False], same])
        among = found[tied]
        left, top, right, bottom = boxes[among].T
        found[tied] = among[np.lexsort((bottom, right, top, left, -scores[among]))]
    return found


@compiled
def _owners(boxes: Floats, kinds: Ints, threshold: float, iou: bool) -> Ints:
    count = len(boxes)
    owned = np.arange(count)
    size = 1
    while size < 2 * count:
        size *= 2
    heads = np.full(size, -1, np.int64)  # of a cell's chain of kept boxes
    after = np.full(count, -1, np.int64)
    first = np.full(LEVELS, -1, np.int64)  # of a level's chain
    beside = np.full(count, -1, np.int64)
    kept = np.zeros(LEVELS, np.int64)
    for index in range(count):
        x1, y1, x2, y2 = boxes[index, 0], boxes[index, 1], boxes[index, 2], boxes[index, 3]
        width, height = x2 - x1, y2 - y1
        area = width * height
        if not (width > 0 and height > 0):
            continue  # it overlaps nothing
        own = min(max(int(np.ceil(np.log2(max(width, height)))) + _MIDDLE, 0), LEVELS - 1)
        across, down = (x1 + x2) / 2, (y1 + y2) / 2
        best = count
        for level in range(LEVELS):
            if kept[level] == 0:
                continue
            cell = 2.0 ** (level - _MIDDLE)
            if iou and level > 0 and level < LEVELS - 1:
                longer = max(width, height)
                # Sides of two boxes differ at most by the overlap that is asked for.
                if cell < longer * threshold * (1 - 1e-9) or cell / 2 * threshold > longer * (1 + 1e-9):
                    continue
            reach_x = _reach(width, cell, threshold, iou)
            reach_y = _reach(height, cell, threshold, iou)
            left, right = int(np.floor((across - reach_x) / cell)), int(np.floor((across + reach_x) / cell))
            top, bottom = int(np.floor((down - reach_y) / cell)), int(np.floor((down + reach_y) / cell))
            if level == 0 or level == LEVELS - 1 or (right - left + 1) * (bottom - top + 1) > kept[level]:
                at = first[level]
                while at >= 0:
                    if at < best and _matches(boxes, kinds, index, at, area, threshold, iou):
                        best = at
                    at = beside[at]
                continue
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    at = heads[_place(level, column, row, kinds[index]) & (size - 1)]
                    while at >= 0:
                        if at < best and _matches(boxes, kinds, index, at, area, threshold, iou):
                            best = at
                        at = after[at]
        if best < count:
            owned[index] = best
            continue
        cell = 2.0 ** (own - _MIDDLE)
        place = _place(own, int(np.floor(across / cell)), int(np.floor(down / cell)), kinds[index]) & (size - 1)
        after[index] = heads[place]
        heads[place] = index
        beside[index] = first[own]
        first[own] = index
        kept[own] += 1
    return owned


@compiled
def _reach(side: float, cell: float, threshold: float, iou: bool) -> float:
    """How far from a box's centre, along one side, the centre of a match of a level can lie."""
    if not iou:
        return (side + cell) / 2
    # The common part is at least `threshold` of the longer side.
    return max((1 - threshold) * side, side / 2 + cell * (0.5 - threshold)) * (1 + 1e-9) + 1e-9


@compiled
def _place(level: int, column: int, row: int, kind: int) -> int:
    mixed = column * 73856093 ^ row * 19349663 ^ kind * 83492791 ^ level * 2654435761
    return mixed ^ (mixed >> 15)


@compiled
def _matches(boxes: Floats, kinds: Ints, one: int, other: int, area: float, threshold: float, iou: bool) -> bool:
    if kinds[one] != kinds[other]:
        return False
    across = min(boxes[one, 2], boxes[other, 2]) - max(boxes[one, 0], boxes[other, 0])
    down = min(boxes[one, 3], boxes[other, 3]) - max(boxes[one, 1], boxes[other, 1])
    if across <= 0 or down <= 0:
        return False
    common = across * down
    theirs = (boxes[other, 2] - boxes[other, 0]) * (boxes[other, 3] - boxes[other, 1])
    # The stronger one's area first, as SAHI adds them up: the last bit may decide.
    whole = theirs + area - common if iou else min(theirs, area)
    return common / whole >= threshold
