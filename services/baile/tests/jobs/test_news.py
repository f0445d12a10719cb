"""What is heard of a job, in any order and any number of times, leaves the same process."""

import itertools
import random
from typing import Any

import pytest

from studio9_baile.jobs.news import apply, apply_progress, of_job, of_message
from studio9_baile.jobs.telling import seen
from studio9_baile.models.base import Base
from studio9_baile.models.jobs import Process, ProcessStatus, ResultState
from studio9_common.contracts.job import Attempt, Job, Result, Spec, State
from studio9_common.contracts.messages import (
    JobAccepted,
    JobCancelled,
    JobCompleted,
    JobEvent,
    JobProgress,
    JobQueued,
    JobStarted,
)
from studio9_common.times import parse_time


def at(second: int) -> str:
    return f"2026-11-21T10:00:{second:02}.000000Z"


BASE: dict[str, Any] = {"job": "j", "kind": "train"}
ACCEPTED = JobAccepted(**BASE, time=at(1), state=State.queued)
QUEUED = JobQueued(**BASE, time=at(1), attempt=0)
STARTED = JobStarted(**BASE, time=at(2), attempt=1, worker="w")
AGAIN = JobQueued(**BASE, time=at(4), attempt=1)
RESTARTED = JobStarted(**BASE, time=at(5), attempt=2, worker="v")
LIFE = (ACCEPTED, QUEUED, STARTED, AGAIN, RESTARTED)
ENDED: dict[str, Any] = {
    "attempt": 2, "fence": 2, "created_at": at(1), "started_at": at(2), "ended_at": at(9), "summary": {"kind": "train"},
}  # fmt: skip
COMPLETED = JobCompleted(**BASE, time=at(9), state=State.completed, **ENDED)


def progress(second: int, attempt: int, value: float) -> JobProgress:
    return JobProgress(
        **BASE, time=at(second), attempt=attempt, fence=attempt, progress=value, remaining_s=12.2, epoch=3, epochs=10,
        metrics={"map50": value},
    )  # fmt: skip


def new() -> Process:
    return Process(
        id="j", organisation="lab", owner="ana", kind="train", job_type="CV_MODEL_TRAIN", target="EXPERIMENT",
        target_id="e", listed=True, context={}, status=ProcessStatus.QUEUED, progress=0.0, attempt=0,
        result_state=ResultState.none, fill_failures=0,
    )  # fmt: skip


def hear(process: Process, *messages: JobEvent) -> Process:
    for message in messages:
        if isinstance(message, JobProgress):
            apply_progress(process, message)
        elif (news := of_message(message)) is not None:
            apply(process, news)
    return process


def row(process: Process) -> dict[str, Any]:
    columns = Base.metadata.tables["processes"].columns.keys()
    return {name: getattr(process, name) for name in columns}


def test_a_life_in_any_order_gives_the_same_row() -> None:
    expected = row(hear(new(), *LIFE))
    assert (expected["status"], expected["attempt"]) == (ProcessStatus.RUNNING, 2)
    assert expected["started_at"] == parse_time(at(2))
    for order in itertools.permutations(LIFE):
        assert row(hear(new(), *order, *order)) == expected


def test_the_end_is_final_whenever_it_is_heard() -> None:
    expected = row(hear(new(), *LIFE, COMPLETED))
    assert expected["result_state"] is ResultState.pending and expected["ended_at"] == parse_time(at(9))
    generator = random.Random(7)
    for _ in range(200):
        order = [*LIFE, COMPLETED, COMPLETED, JobCancelled(**BASE, time=at(10), state=State.cancelled, **ENDED)]
        generator.shuffle(order)
        order.sort(key=lambda message: isinstance(message, JobCancelled))
        got = row(hear(new(), *order))
        # The status waits for the result; until then it is the last that was heard before the end.
        assert {**got, "status": None} == {**expected, "status": None}


def test_progress_moves_a_process_forwards_only() -> None:
    process = hear(new(), STARTED, progress(3, 1, 0.5), progress(2, 1, 0.2))
    assert (process.progress, process.epoch, process.metrics) == (0.5, 3, {"map50": 0.5})
    assert seen(process)["estimate"] == 13
    # Late progress of the first attempt does not hide that the job waits again.
    for order in itertools.permutations((STARTED, progress(3, 1, 0.5), AGAIN)):
        process = hear(new(), *order)
        assert (process.status, process.attempt, process.progress) == (ProcessStatus.QUEUED, 1, 0.5)
        assert "estimate" not in seen(process)
    assert hear(process, progress(6, 2, 1.0)).status is ProcessStatus.RUNNING
    assert process.progress == 0.99


def test_progress_after_the_end_changes_nothing() -> None:
    process = hear(new(), STARTED, COMPLETED)
    before = row(process)
    assert row(hear(process, progress(10, 2, 0.7))) == before


def test_a_repeated_request_is_answered_with_the_state_of_now() -> None:
    answer = JobAccepted(**BASE, time=at(6), state=State.running)
    assert hear(new(), STARTED, answer).status is ProcessStatus.RUNNING
    ended = JobAccepted(**BASE, time=at(6), state=State.completed)
    assert of_message(ended) is None


@pytest.mark.parametrize("state", [State.completed, State.failed, State.cancelled])
def test_the_document_says_what_the_message_says(state: State) -> None:
    attempts = tuple(
        Attempt(number=number, fence=number, worker="w", assigned_at=at(1), started_at=at(2)) for number in (1, 2)
    )
    job = Job(
        id="j", organisation="lab", owner="ana", spec=Spec(kind="train"), request_hash="h", state=state, fence=2,
        attempts=attempts, result=Result(attempt=2, fence=2, summary={"kind": "train"}), created_at=at(1),
        updated_at=at(11), started_at=at(2), ended_at=at(9),
    )  # fmt: skip
    told = hear(new(), JobCompleted(**BASE, time=at(9), state=state, **ENDED))
    read = new()
    assert apply(read, of_job(job))
    assert row(read) == row(told)
