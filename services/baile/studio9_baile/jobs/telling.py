"""Server-sent events about processes."""

import math
from typing import Any

from studio9_baile.models.jobs import Process, ProcessStatus
from studio9_baile.repositories.work import Work

PROCESS = "process"


def tell(work: Work, process: Process) -> None:
    """Tells the process's owner how it stands. The many small ones of a stream are not told: what they bring is."""
    if process.listed:
        work.emit(PROCESS, seen(process), user=process.owner)


def seen(process: Process) -> dict[str, Any]:
    """A process as its owner sees it while it goes on. `estimate` is whole seconds; what is not known is left out."""
    data = {
        "id": process.id,
        "target": process.target,
        "targetId": process.target_id,
        "jobType": process.job_type,
        "status": process.status.value,
        "progress": process.progress,
        "estimate": estimate(process),
        "attempt": process.attempt,
        "epoch": process.epoch,
        "epochs": process.epochs,
        "metrics": process.metrics,
        "metricsEpoch": process.metrics_epoch,
        "cause": process.cause,
    }
    return {name: value for name, value in data.items() if value is not None}


def estimate(process: Process) -> int | None:
    """Whole seconds that a running process still needs, if that is known."""
    if process.status is not ProcessStatus.RUNNING or process.remaining_s is None:
        return None
    return max(0, math.ceil(process.remaining_s))
