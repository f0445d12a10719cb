"""The life-cycle events: from which phases each may come, and where it leads. Draft writes by it, fold reads by it."""

from dataclasses import dataclass

from studio9_common.contracts.job import Phase, State

P = Phase
STATE_OF: dict[Phase, State] = {
    P.submitted: State.submitted,
    P.queued: State.queued,
    P.backing_off: State.queued,
    P.assigned: State.queued,
    P.starting: State.running,
    P.running: State.running,
    P.cancelling: State.running,
}
"""The state of each phase before the end; in cleaning and clean the state is the terminal one."""

OPEN = frozenset(STATE_OF)
"""Phases before the end."""
OVER = frozenset({P.cleaning, P.clean})
WAITING = frozenset({P.queued, P.backing_off})
HELD = frozenset({P.assigned, P.starting, P.running})
"""Phases in which a worker has the job and nobody wants it to stop."""


@dataclass(frozen=True, slots=True)
class Step:
    """`sources` None: only as the first event of a job. `targets` empty: the phase stays. The first target is the
    usual one. `state` is that of a terminal step. `folds`: repeated rounds that end in it become counts."""

    sources: frozenset[Phase] | None
    targets: tuple[Phase, ...]
    meaning: str
    state: State | None = None
    folds: bool = False


def _stays(meaning: str, sources: frozenset[Phase] = OPEN | OVER) -> Step:
    return Step(sources, (), meaning, folds=True)


STEPS: dict[str, Step] = {
    "requested": Step(None, (P.submitted,), "the job is durable"),
    "queued": Step(
        frozenset({P.submitted, P.backing_off}), (P.queued,), "what it depends on is there, or its back-off is over"
    ),
    "assigned": Step(frozenset({P.queued}), (P.assigned,), "a worker was told to run it"),
    "refused": Step(
        frozenset({P.assigned, *WAITING}), (P.queued,), "the worker had no place; no retry spent", folds=True
    ),
    "unroutable": Step(frozenset({P.assigned}), (P.queued,), "the worker's queue is gone; no retry spent", folds=True),
    "starting": Step(frozenset({P.assigned}), (P.starting,), "the worker stages the inputs"),
    "running": Step(frozenset({P.assigned, P.starting}), (P.running,), "the task runs"),
    "returned": Step(WAITING, (P.running, P.starting), "the attempt that was given up is heard again", folds=True),
    "lost": Step(HELD, (P.backing_off,), "the worker fell silent"),
    "attempt_failed": Step(
        HELD | WAITING, (P.backing_off, P.queued), "the attempt failed and another will be made", folds=True
    ),
    "children_asked": Step(
        HELD | WAITING, (P.backing_off,), "its task has asked for children; it goes on when they have ended", folds=True
    ),
    "cancel_requested": Step(HELD, (P.cancelling,), "the worker was told to stop"),
    "completed": Step(OPEN, (P.cleaning,), "the result is durable", State.completed),
    "failed": Step(OPEN, (P.cleaning,), "no further attempt; the reason says why", State.failed),
    "cancelled": Step(OPEN, (P.cleaning,), "stopped before it was done", State.cancelled),
    "cancelled_unseen": Step(None, (P.cleaning,), "cancelled before its request arrived", State.cancelled),
    "described": _stays("the request of a job that was cancelled before it arrived", OVER),
    "conflicting_request": _stays("another request came under the same id; ignored"),
    "priority_changed": _stays("somebody moved it within its organisation's queue", OPEN),
    "dependency_unknown": _stays(
        "what it depends on is no job of its organisation, or not yet; it waits on", frozenset({P.submitted})
    ),
    "child_ended": Step(OPEN, (), "a child job failed or was cancelled; the job goes on"),
    "superseded": _stays("a message of an attempt that no longer counts; ignored"),
    "dead_letter": _stays("a message about the job was given up"),
    "output_loading": _stays("the warehouse loads an output", OVER),
    "output_loaded": _stays("the warehouse holds an output", OVER),
    "output_failed": _stays("the warehouse could not load an output", OVER),
    "outputs_removed": _stays("its parent, whose task had asked for it, has ended: what it left is gone", OVER),
    "cleaned": Step(frozenset({P.cleaning}), (P.clean,), "what it used is gone"),
}  # fmt: skip
