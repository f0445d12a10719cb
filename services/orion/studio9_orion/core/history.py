"""The list of life-cycle events in a job: at most MAX_EVENTS, repeated rounds as counts."""

from dataclasses import replace

from studio9_common.contracts.job import MAX_EVENTS, Event
from studio9_common.contracts.reasons import retries_of
from studio9_orion.core.life import STEPS

_LONGEST_ROUND = 8
_KEPT_HEAD, _KEPT_TAIL = 20, MAX_EVENTS - 40


def append(events: tuple[Event, ...], event: Event) -> tuple[Event, ...]:
    """The history with one more event.

    Where the newest events repeat the round before them (assigned, refused, assigned, refused), and the round is one
    that may repeat for ever, both become one with a count and the times of the last.
    """
    longer = (*events, event)
    if _may_repeat(event):
        for length in range(1, _LONGEST_ROUND + 1):
            if len(longer) < 2 * length:
                break
            before, last = longer[-2 * length : -length], longer[-length:]
            if all(_same(a, b) for a, b in zip(before, last, strict=True)):
                merged = (replace(b, n=a.n, count=a.count + b.count) for a, b in zip(before, last, strict=True))
                return (*longer[: -2 * length], *merged)
    if len(longer) > MAX_EVENTS:
        return longer[:_KEPT_HEAD] + longer[-_KEPT_TAIL:]
    return longer


def _may_repeat(event: Event) -> bool:
    if event.type == "attempt_failed":
        return event.reason is not None and retries_of(event.reason) is None
    return STEPS[event.type].folds


def _same(one: Event, other: Event) -> bool:
    codes = (one.reason and one.reason.code, other.reason and other.reason.code)
    return one.type == other.type and one.phase is other.phase and codes[0] == codes[1]
