"""How an attempt ended, from the shim's record, what the task told, and who stopped it. Pure."""

import signal as signals
from dataclasses import dataclass
from typing import Literal

from studio9_common.contracts.reasons import Reason, reason
from studio9_task.events import Failed
from studio9_task.exits import EXIT_STOPPED, EXIT_SYSTEM, EXIT_USER, ExitRecord, TaskState
from studio9_worker.records import StopCause
from studio9_worker.told import Told

Outcome = Literal["succeeded", "failed", "cancelled"]

USER_CODES = frozenset({"bad_input", "out_of_memory"})
SYSTEM_CODES = frozenset({"disk_full", "out_of_memory"})
"""Codes that a task may give its own failure; others would let it choose how often it is tried again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What the result says. A success has no reason, and still has to bring its outputs."""

    outcome: Outcome
    reason: Reason | None = None

    @property
    def failure(self) -> str:
        """The code of a failure; empty for another ending."""
        return self.reason.code if self.outcome == "failed" and self.reason is not None else ""


def stopped(cause: StopCause | None) -> Ending:
    """The ending of an attempt that was stopped before its task had an end of its own.

    Who told us to stop knows why, so nothing is said of it; without a cause the machine itself is going down.
    """
    match cause:
        case "cancelled" | "told" | "superseded":
            return Ending("cancelled")
        case "cut_off":
            return _failed("worker_lost", "The worker was cut off for too long, so its task was stopped.")
        case _:
            return _failed("worker_stopped", None)


def judge_end(state: TaskState, told: Told, cause: StopCause | None) -> Ending:
    """The ending of a task that no longer runs.

    A task that finished before a stop reached it has succeeded; one that the stop ended has not, whatever it told.
    """
    record = state.record
    if record is None:
        if cause is not None:
            return stopped(cause)
        return _failed("runner_error", "The task was lost: its shim was killed, or the machine was restarted.")
    match record.ending:
        case "exited":
            return _exited(record, told)
        case "stopped":
            return stopped(cause)
        case "time_limit":
            return _failed("timeout", f"The task ran longer than its time limit; it was stopped after {_span(record)}.")
        case "lease_expired":
            return _failed("worker_lost", "The worker heard nothing for too long, so its task was stopped.")
        case "memory_limit":
            return _failed("out_of_memory", f"{_peak(record)}: {record.detail}. Use a smaller batch or picture size.")
        case "log_flood":
            return _failed("log_flood", f"The task wrote log without end, so it was stopped: {record.detail}.")
        case "process_limit":
            return _failed("process_limit", f"The task started processes without end: {record.detail}.")
        case "disk_limit":
            return _failed("disk_limit", f"The task wrote more than it may, so it was stopped: {record.detail}.")
        case "bad_image":
            return _failed("image_unusable", f"The image cannot run a task: {record.detail}")
        case "start_failed":
            return _failed("runner_error", f"The task could not be started: {record.detail}")


def _exited(record: ExitRecord, told: Told) -> Ending:
    if record.exit_code == 0 and told.failed is None:
        if told.result is None:
            return _failed("bad_output", "The task ended well, but it told no result.")
        return Ending("succeeded")
    if told.failed is not None:
        return _told_failure(told.failed)
    if record.out_of_memory:
        return _failed("out_of_memory", f"{_peak(record)}. Use a smaller batch or picture size.")
    if record.signal is not None:
        return _failed("task_crashed", f"The task was ended by {_signal(record.signal)} after {_span(record)}.")
    if record.forks_refused:
        return _failed("process_limit", f"The task was refused {record.forks_refused} processes, and failed.")
    if record.exit_code == EXIT_STOPPED:
        # Not "worker_stopped", which is tried again without end: whoever really stops a task is known.
        return _failed("worker_lost", "The task said that it was stopped, but nobody here stopped it.")
    if record.exit_code == EXIT_USER:
        return _failed("user_error", None)
    if record.exit_code == EXIT_SYSTEM:
        return _failed("task_crashed", None)
    return _failed("task_failed", f"The task ended with exit code {record.exit_code}; its last log lines say why.")


def _told_failure(failed: Failed) -> Ending:
    user = failed.class_ == "user"
    allowed = USER_CODES if user else SYSTEM_CODES
    code = failed.code if failed.code in allowed else "user_error" if user else "task_crashed"
    text = failed.message if code == failed.code else f"{failed.message} ({failed.code})"
    return _failed(code, text)


def _failed(code: str, message: str | None) -> Ending:
    return Ending("failed", reason(code, message))


def _peak(record: ExitRecord) -> str:
    return f"The task ran out of memory at {record.peak_rss_bytes / 2**30:.2f} GiB"


def _span(record: ExitRecord) -> str:
    return f"{record.duration_s:.0f} s"


def _signal(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
