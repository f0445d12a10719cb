"""The generated page, the fold of histories, and what a beat is answered."""

from pathlib import Path
from typing import Any

import pytest

from studio9_common.contracts.job import MAX_EVENTS, Event, Phase, State
from studio9_common.contracts.reasons import reason
from studio9_orion.core import fold, lease_for
from studio9_orion.core.events import Beat, DeadLettered, OutputReported
from studio9_orion.core.fold import BrokenHistory
from studio9_orion.core.history import append
from studio9_orion.core.table import EVENTS, TABLE, markdown

P = Phase


def test_the_reference_page_is_the_table() -> None:
    page = Path(__file__).parents[3] / "docs/reference/job-states.md"
    assert page.read_text() == markdown(), "run: python -m studio9_orion.core.table > docs/reference/job-states.md"
    assert {event for row in TABLE.values() for event in row} <= set(EVENTS)


def test_an_impossible_history_is_refused(life: Any) -> None:
    events = life.in_phase(P.running).job.events
    with pytest.raises(BrokenHistory, match="cannot follow"):
        fold((events[0], *(Event(**{**_as_dict(event), "n": i + 2}) for i, event in enumerate(events[2:]))))
    with pytest.raises(BrokenHistory, match="no life-cycle event"):
        fold(())
    with pytest.raises(BrokenHistory, match="leads to"):
        fold((Event(**{**_as_dict(events[0]), "phase": P.running}),))


def _as_dict(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}


def test_a_long_history_is_cut_in_the_middle_and_still_folds(life: Any) -> None:
    events = life.in_phase(P.running).job.events
    for number in range(400):
        kind = "dead_letter" if number % 2 else "conflicting_request"
        event = Event(n=events[-1].n + 1, time="t", type=kind, phase=P.running, state=State.running)
        why = reason(f"code{number}")
        events = append(events, Event(**{**_as_dict(event), "reason": why}))
    assert len(events) <= MAX_EVENTS
    folded = fold(events)
    assert (folded.phase, folded.state) == (P.running, State.running)


def test_repeated_reports_become_counts(life: Any) -> None:
    life.in_phase(P.clean)
    for _ in range(10):
        life.tell(DeadLettered(type="t", why="w"))
    assert (life.types[-1], life.job.events[-1].count, len(life.job.events)) == ("dead_letter", 10, 7)
    life.tell(OutputReported(organisation="acme", output="predictions", state="loaded"))
    assert fold(life.job.events).phase is P.clean


def lease(life: Any, phase: Any = "running", **changes: Any) -> str | None:
    given = {"worker": life.attempt.worker, "fence": life.job.fence, "phase": phase} | changes
    return lease_for(life.stored, Beat(**given))


@pytest.mark.parametrize("phase", [P.assigned, P.starting, P.running])
def test_a_current_attempt_keeps_its_lease(life: Any, phase: Phase) -> None:
    life.in_phase(phase)
    assert lease(life) == "keep"
    assert lease(life, "ended") == "keep", "its result is not here yet"
    assert lease(life, worker="other") == "stop"


def test_a_superseded_attempt_stops(life: Any) -> None:
    life.in_phase(P.backing_off).pass_deadline().assign("w2")
    assert lease(life, fence=1, worker="w1") == "stop"
    assert lease(life, "ended", fence=1, worker="w1") == "confirmed"


def test_a_recorded_result_is_confirmed(life: Any) -> None:
    assert lease(life.in_phase(P.clean)) == "confirmed"
    life.stored = None
    life.in_phase(P.running).result("failed", reason("staging_error"))
    assert lease(life, "ended") == "confirmed"


def test_cancelling_stops_but_waits_for_a_result_on_its_way(life: Any) -> None:
    life.in_phase(P.cancelling)
    assert (lease(life), lease(life, "ended")) == ("stop", "keep")
    life.pass_deadline()
    assert (lease(life), lease(life, "ended")) == ("stop", "confirmed")


def test_nothing_is_said_about_what_is_not_known(life: Any) -> None:
    beat = Beat(worker="w1", fence=1, phase="running")
    assert lease_for(None, beat) is None
    assert lease_for(life.request().job, beat) is None
