"""Whether a `worker.run` may begin here: the worker is the last judge of its fences and its slots."""

from enum import StrEnum


class Verdict(StrEnum):
    """accept: begin. duplicate: it is already here. stale: its fence is not above the highest seen for the job.
    cancelled: a cancel came first. no_slot: nothing free that fits."""

    accept = "accept"
    duplicate = "duplicate"
    stale = "stale"
    cancelled = "cancelled"
    no_slot = "no_slot"


def judge(fence: int, *, highest: int, cancelled: int, here: bool, slot: bool) -> Verdict:
    """The verdict on a run with `fence`.

    `highest` is the highest fence seen for the job (0: none), `cancelled` the highest that was cancelled (0: none),
    `here` whether exactly this attempt is here now, `slot` whether a slot that fits is free.
    """
    if here:
        return Verdict.duplicate
    if fence <= highest:
        return Verdict.stale
    if fence <= cancelled:
        return Verdict.cancelled
    return Verdict.accept if slot else Verdict.no_slot
