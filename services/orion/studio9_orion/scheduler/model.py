"""What the scheduler sees and says. Frozen values; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from studio9_common.contracts.job import Job, Requirements
from studio9_orion.providers.port import Place

CLASSES: tuple[str, ...] = ("gpu-training", "cpu")
"""Named queues, the first served first; any other name comes after them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that waits for a slot."""

    job: str
    organisation: str
    project: str | None
    priority_class: str
    priority: int
    queued_at: str
    not_before: str | None
    needs: Requirements
    image: str | None = None

    @property
    def order(self) -> tuple[int, str, str]:
        """Within an organisation: priority, then first come first served."""
        return -self.priority, self.queued_at, self.job


def candidate(job: Job) -> Candidate:
    """The candidate of a queued job."""
    return Candidate(
        job=job.id,
        organisation=job.organisation,
        project=job.project,
        priority_class=job.priority_class,
        priority=job.priority,
        queued_at=job.queued_at or job.created_at,
        not_before=job.not_before,
        needs=job.spec.requirements,
        image=job.spec.image,
    )


@dataclass(frozen=True, slots=True)
class Shares:
    """What each organisation has used and may use. `usage` is decayed slot-seconds; a missing weight is 1, a missing
    limit none. `running` counts jobs that hold a slot, by organisation and by (organisation, project)."""

    usage: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    running: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    running_projects: Mapping[tuple[str, str], int] = field(default_factory=dict)
    project_limits: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assignment:
    """This job goes to that worker."""

    job: str
    worker: str
    provider: str
    kind: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of one pass: assignments in order, and what still waits, in the order in which it would be served."""

    assignments: tuple[Assignment, ...]
    waiting: tuple[Candidate, ...]
    places: tuple[Place, ...]
