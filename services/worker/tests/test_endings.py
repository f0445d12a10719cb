"""What an attempt's end is called."""

from typing import Any

import pytest

from studio9_task.events import Artifact, Failed, Metric, Progress, Result, Warned
from studio9_task.exits import ExitRecord, TaskState
from studio9_task.tail import BadEvent
from studio9_worker.endings import Ending, judge_end, stopped
from studio9_worker.told import Told, metric_key

TIME = "2026-11-21T10:00:00.000000Z"
DONE = Result(time=TIME, sequence=1, summary={})


def state(ending: str = "exited", **given: Any) -> TaskState:
    values = {"ending": ending, "started": TIME, "ended": TIME, "duration_s": 12.0, "peak_rss_bytes": 2 << 30}
    return TaskState("ended", ExitRecord(**(values | given)))


def told(*events: Any) -> Told:
    made = Told()
    for event in events:
        made.take(event)
    return made


def failed(class_: str, code: str) -> Failed:
    return Failed(time=TIME, sequence=1, class_=class_, code=code, message="Why.")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "events", "code", "class_"),
    [
        (state(exit_code=64), [], "user_error", "user"),
        (state(exit_code=70), [], "task_crashed", "platform"),
        (state(exit_code=75), [], "worker_lost", "infrastructure"),
        (state(exit_code=1, forks_refused=3), [], "process_limit", "user"),
        (state("log_flood", signal=9), [DONE], "log_flood", "user"),
        (state("process_limit", signal=9), [DONE], "process_limit", "user"),
        (state("disk_limit", signal=9), [DONE], "disk_limit", "user"),
        (state(exit_code=1), [], "task_failed", "user"),
        (state(exit_code=0), [], "bad_output", "user"),
        (state(exit_code=0), [DONE, failed("user", "no_boxes")], "user_error", "user"),
        (state(exit_code=64), [failed("user", "bad_input")], "bad_input", "user"),
        (state(exit_code=64), [failed("user", "preempted")], "user_error", "user"),
        (state(exit_code=70), [failed("system", "out_of_memory")], "out_of_memory", "user"),
        (state(exit_code=70), [failed("system", "disk_full")], "disk_full", "infrastructure"),
        (state(exit_code=70), [failed("system", "preempted")], "task_crashed", "platform"),
        (state(signal=11), [], "task_crashed", "platform"),
        (state(signal=9, out_of_memory=True), [], "out_of_memory", "user"),
        (state("memory_limit", signal=9, out_of_memory=True), [], "out_of_memory", "user"),
        (state("time_limit", signal=15), [], "timeout", "policy"),
        (state("lease_expired", signal=15), [], "worker_lost", "infrastructure"),
        (state("start_failed", detail="no such file"), [], "runner_error", "infrastructure"),
        (state("bad_image", detail="no studio9_task"), [], "image_unusable", "user"),
        (state("stopped", exit_code=0), [DONE], "worker_stopped", "infrastructure"),
        (TaskState("lost"), [], "runner_error", "infrastructure"),
    ],
)
def test_failures(given: TaskState, events: list[Any], code: str, class_: str) -> None:
    ending = judge_end(given, told(*events), None)
    assert ending.outcome == "failed"
    assert ending.reason is not None
    assert (ending.reason.code, ending.reason.class_) == (code, class_)
    assert ending.reason.message


def test_memory_is_named_in_gib() -> None:
    ending = judge_end(state(signal=9, out_of_memory=True), told(), None)
    assert ending.reason is not None
    assert "2.00 GiB" in ending.reason.message


def test_a_success_that_was_finished_before_the_stop_stays_one() -> None:
    assert judge_end(state(exit_code=0), told(DONE), "cancelled") == Ending("succeeded")


@pytest.mark.parametrize("cause", ["cancelled", "told", "superseded"])
def test_who_tells_us_to_stop_knows_why(cause: Any) -> None:
    assert judge_end(state("stopped", exit_code=0), told(DONE), cause) == Ending("cancelled")
    assert judge_end(TaskState("lost"), told(), cause) == Ending("cancelled")
    assert stopped(cause) == Ending("cancelled")


def test_a_worker_that_was_cut_off_or_shut_down_says_so() -> None:
    codes = [end.reason and end.reason.code for end in (stopped("cut_off"), stopped("shutdown"), stopped(None))]
    assert codes == ["worker_lost", "worker_stopped", "worker_stopped"]


def test_what_is_told_is_folded() -> None:
    first = Artifact(time=TIME, sequence=1, name="model", path="m.pt", sha256="0" * 64, size=1)
    second = first.model_copy(update={"size": 2})
    made = told(
        Progress(time=TIME, sequence=1, value=0.2, epoch=1, epochs=5, remaining_s=9),
        Progress(time=TIME, sequence=2, value=0.25),
        Warned(time=TIME, sequence=3, code="odd", message="m"),
        BadEvent(0, "not_an_event", "x"),
        first,
        second,
        DONE,
        Result(time=TIME, sequence=9, summary={"late": 1}),
    )
    assert (made.progress, made.remaining_s, made.epoch, made.epochs) == (0.25, None, 1, 5)
    assert (made.warnings, made.unreadable, made.artifacts) == (1, 1, {"m.pt": second})
    assert made.summary() == {}


def test_metric_keys_name_their_split_where_it_is_not_the_usual() -> None:
    def key(name: str, split: Any) -> str:
        return metric_key(Metric(time=TIME, sequence=1, key=name, value=1, split=split))

    assert [key("map50", "val"), key("map50", "none"), key("loss", "train"), key("train/loss", "train")] == [
        "map50",
        "map50",
        "train/loss",
        "train/loss",
    ]
    assert key("final/map50", "test") == "test/final/map50"


def test_metrics_in_a_beat_are_bounded() -> None:
    made = told(*(Metric(time=TIME, sequence=1, key=f"k{n}", value=n) for n in range(100)))
    made.take(Metric(time=TIME, sequence=1, key="k0", value=-1))
    assert len(made.metrics) == 64
    assert made.metrics["k0"] == -1
