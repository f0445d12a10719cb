"""What the scheduler sees and says. Frozen values; no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from studio9_common.contracts.job import Job, Requirements
from studio9_orion.providers.port import Place

CLASSES: tuple[str, ...] = ("gpu-training", "cpu")
"""Named queues, the first served first; any other name comes after them."""

Shape = tuple[Requirements, bool]
"""What a job needs of a place, and whether it needs a container."""
Order = tuple[int, str, str]
"""A job's place within its organisation: priority (negated), time, id."""
Share = tuple[str, str]
"""Whose use is counted: (priority class, organisation)."""


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
    untrusted: bool = False

    @property
    def order(self) -> Order:
        """Within an organisation: priority, then first come first served."""
        return -self.priority, self.queued_at, self.job

    @property
    def shape(self) -> Shape:
        return self.needs, self.untrusted


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
        untrusted=job.spec.untrusted,
    )


def slots_of(needs: Requirements) -> int:
    """How many slots a job takes: one for each GPU, at least one."""
    return max(needs.gpus, 1)


@dataclass(frozen=True, slots=True)
class Shares:
    """What each organisation has used, holds and may hold.

    `usage`: decayed slot-seconds divided by weight. `held`: slots that it holds now. `weights`: a missing one is
    `weight`. `running` counts jobs that hold slots, by organisation and by (organisation, project); `limits` and
    `project_limits` bound them, a missing one is `limit` or `project_limit`, None is no limit.
    """

    usage: Mapping[Share, float] = field(default_factory=dict)
    held: Mapping[Share, int] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    weight: float = 1.0
    running: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int | None] = field(default_factory=dict)
    limit: int | None = None
    running_projects: Mapping[tuple[str, str], int] = field(default_factory=dict)
    project_limits: Mapping[tuple[str, str], int | None] = field(default_factory=dict)
    project_limit: int | None = None
    classes: tuple[str, ...] = CLASSES

    def weight_of(self, organisation: str) -> float:
        return self.weights.get(organisation, self.weight)

    def limit_of(self, organisation: str) -> int | None:
        return self.limits.get(organisation, self.limit)

    def project_limit_of(self, organisation: str, project: str) -> int | None:
        """The project's own limit, else that of each of the organisation's projects, else the installation's."""
        for key in ((organisation, project), (organisation, "")):
            if key in self.project_limits:
                return self.project_limits[key]
        return self.project_limit


@dataclass(frozen=True, slots=True)
class Assignment:
    """This job goes to that worker."""

    job: str
    worker: str
    provider: str
    kind: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of one pass: assignments in order. `cut`: it ended at its most, not because nothing was left to
    give. `kept` is the worker whose free slots wait for a job that needs several."""

    assignments: tuple[Assignment, ...]
    places: tuple[Place, ...]
    cut: bool = False
    kept: str | None = None
