"""The table of phase × event: where each event may lead. A test holds every decision against it; printed, it is
docs/reference/job-states.md (`python -m studio9_orion.core.table > docs/reference/job-states.md`)."""

from studio9_common.contracts.job import Phase
from studio9_orion.core.life import STATE_OF, STEPS

P = Phase
EVENTS: dict[str, str] = {
    "requested": "a request arrives (again)",
    "cancel": "somebody cancels",
    "related": "the states of parent and dependencies are read",
    "child_ended": "a child job has ended",
    "priority": "somebody changes its priority",
    "assigned": "the scheduler gives it a slot",
    "unroutable": "`worker.run` came back: the worker's queue is gone",
    "beat.staging": "the worker stages the inputs",
    "beat.running": "the worker runs the task, or uploads",
    "beat.ended": "the task has ended, its result is on its way",
    "result.succeeded": "the result: success",
    "result.failed": "the result: failure",
    "result.cancelled": "the result: stopped",
    "result.refused": "the result: never started",
    "output": "the warehouse reports",
    "tick": "a deadline has passed",
    "cleaned": "the cleaner has finished",
    "emptied": "what it left was removed: its parent, whose task had asked for it, has ended",
    "dead_letter": "a message about the job was given up",
}
"""The columns: what the core can be told. Messages of a superseded fence are recorded and stay without effect."""

_failing = (P.backing_off, P.queued, P.cleaning)
_held: dict[str, tuple[Phase, ...]] = {
    "cancel": (P.cancelling,),
    "related": (P.cancelling,),
    "child_ended": (P.cleaning,),
    "result.succeeded": (P.cleaning, P.backing_off),
    "result.failed": _failing,
    "result.cancelled": _failing,
    "tick": (P.backing_off, P.cleaning),
}
_waiting: dict[str, tuple[Phase, ...]] = {
    "cancel": (P.cleaning,),
    "related": (P.cleaning,),
    "child_ended": (P.cleaning,),
    "beat.staging": (P.starting,),
    "beat.running": (P.running,),
    "beat.ended": (P.running,),
    "result.succeeded": (P.cleaning, P.backing_off),
    "result.failed": _failing,
    "result.cancelled": _failing,
    "result.refused": (P.queued,),
}

TABLE: dict[Phase | None, dict[str, tuple[Phase, ...]]] = {
    None: {"requested": (P.submitted, P.queued, P.cleaning), "cancel": (P.cleaning,)},
    P.submitted: {
        "cancel": (P.cleaning,),
        "related": (P.queued, P.cleaning),
        "child_ended": (P.cleaning,),
        "tick": (P.cleaning,),
    },
    P.queued: _waiting | {"assigned": (P.assigned,), "tick": (P.cleaning,)},
    P.backing_off: _waiting | {"tick": (P.queued,), "child_ended": (P.queued, P.cleaning)},
    P.assigned: _held
    | {
        "unroutable": (P.queued,),
        "beat.staging": (P.starting,),
        "beat.running": (P.running,),
        "beat.ended": (P.running,),
        "result.refused": (P.queued,),
    },
    P.starting: _held | {"beat.running": (P.running,), "beat.ended": (P.running,)},
    P.running: _held,
    P.cancelling: {
        "result.succeeded": (P.cleaning,),
        "result.failed": (P.cleaning,),
        "result.cancelled": (P.cleaning,),
        "result.refused": (P.cleaning,),
        "tick": (P.cleaning,),
    },
    P.cleaning: {"cleaned": (P.clean,)},
    P.clean: {},
}
"""Where an event may lead; an event that is not listed, or a condition that is not met, leaves the phase as it is."""


def allowed(phase: Phase | None, event: str) -> frozenset[Phase | None]:
    """The phases that may follow."""
    return frozenset({phase, *TABLE[phase].get(event, ())})


def markdown() -> str:
    """The reference page."""
    lines = [
        "# The states of a job",
        "",
        "Made from `studio9_orion.core.table`; do not edit. `state` is what users see, `phase` is what Orion works on.",
        "",
        "| phase | state |",
        "|---|---|",
        *(f"| {phase} | {STATE_OF.get(phase, 'completed, failed or cancelled')} |" for phase in Phase),
        "",
        "## Phase × event",
        "",
        "Rows are what Orion is told, columns the phase in which it is told; a cell says where that may lead, a dot"
        " that the phase stays. Conditions (a spent retry, a condition of time) decide between several.",
        "",
        "| event | " + " | ".join("(none)" if phase is None else phase for phase in TABLE) + " |",
        "|---" * (len(TABLE) + 1) + "|",
    ]
    for event, meaning in EVENTS.items():
        cells = (", ".join(TABLE[phase].get(event, ())) or "·" for phase in TABLE)
        lines.append(f"| `{event}`: {meaning} | " + " | ".join(cells) + " |")
    lines += ["", "## Life-cycle events", "", "What a job's history holds; its fold is the job's state.", ""]
    lines += ["| event | leads to | meaning |", "|---|---|---|"]
    for name, step in STEPS.items():
        lines.append(f"| `{name}` | {', '.join(step.targets) or '(stays)'} | {step.meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
