"""State = fold(life-cycle events): what a job's history alone says, and a check that the history is possible."""

from collections.abc import Sequence
from dataclasses import dataclass

from studio9_common.contracts.job import Event, Phase, State
from studio9_common.contracts.reasons import Reason
from studio9_common.errors import Studio9Error
from studio9_orion.core.life import STATE_OF, STEPS


class BrokenHistory(Studio9Error):
    """The life-cycle events of this job cannot have happened in this order; its document was damaged or edited."""

    code = "broken_history"


@dataclass(frozen=True, slots=True)
class Folded:
    """What the history says of a job."""

    state: State
    phase: Phase
    reason: Reason | None
    attempt: int | None


def fold(events: Sequence[Event]) -> Folded:
    """The state after these events. Where events were left out (a gap in `n`) it goes on from what the next says.

    Raises BrokenHistory for an empty history, an unknown event, or one that its predecessor does not allow.
    """
    now: Folded | None = None
    n = 0
    for event in events:
        step = STEPS.get(event.type)
        if step is None:
            raise BrokenHistory(f"event {event.n}: no life-cycle event is called {event.type!r}")
        joined = event.n == n + 1
        n = event.n
        if joined and not (now is None if step.sources is None else now is not None and now.phase in step.sources):
            raise BrokenHistory(f"event {event.n}: {event.type} cannot follow {now.phase if now else 'nothing'}")
        phase = _phase(event, now, joined)
        state = step.state or STATE_OF.get(phase) or (now.state if now and joined else event.state)
        if (phase, state) != (event.phase, event.state):
            raise BrokenHistory(f"event {event.n}: {event.type} leads to {phase}/{state}, not {event.phase}")
        moved = bool(step.targets) and event.type != "cleaned"
        reason = event.reason if moved or now is None else now.reason
        attempt = event.attempt if event.attempt is not None else (now.attempt if now else None)
        now = Folded(state, phase, reason, attempt)
    if now is None:
        raise BrokenHistory("the job has no life-cycle event")
    return now


def _phase(event: Event, now: Folded | None, joined: bool) -> Phase:
    targets = STEPS[event.type].targets
    if event.phase in targets:
        return event.phase
    if targets:
        return targets[0]
    return now.phase if now is not None and joined else event.phase
