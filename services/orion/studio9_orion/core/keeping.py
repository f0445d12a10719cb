"""Which of a job's objects must stay when it has ended: the current result and, for a while, the last checkpoint."""

from studio9_common.contracts.job import Job, State

EMPTIED = "outputs_removed"
"""The life-cycle event of a child of which nothing is kept any more."""


def job_prefix(job: Job) -> str:
    """Where the objects of all its attempts are."""
    return f"{job.organisation}/jobs/{job.id}/"


def attempt_prefix(job: Job, fence: int) -> str:
    """Where an attempt's objects are."""
    return f"{job_prefix(job)}{fence}/"


def scratch_prefix(job: Job) -> str:
    """Where objects are that nobody needs after the end."""
    return f"{job.organisation}/scratch/{job.id}/"


def emptied(job: Job) -> bool:
    """Whether nothing of it is kept: it was made for its parent's task, and the parent has ended."""
    return any(event.type == EMPTIED for event in job.events)


def kept_fences(job: Job, *, with_checkpoint: bool = True) -> frozenset[int]:
    """The fences whose objects stay: that of the result's manifest, and that of the checkpoint from which a retry
    would resume. A completed job keeps its checkpoint for good, if it lies beside the result."""
    if emptied(job):
        return frozenset()
    keys = [job.result.manifest.key] if job.result and job.result.manifest else []
    if job.checkpoint is not None and with_checkpoint and job.state is not State.completed:
        keys.append(job.checkpoint.key)
    kept = {fence for key in keys if (fence := fence_of(job, key)) is not None}
    if job.state is State.completed and job.result is not None:
        kept.add(job.result.fence)
    return frozenset(kept)


def fence_of(job: Job, key: str) -> int | None:
    """The fence in whose prefix an object of this job lies; None for any other object."""
    root = job_prefix(job)
    fence = key.removeprefix(root).partition("/")[0]
    return int(fence) if key.startswith(root) and fence.isdigit() else None
