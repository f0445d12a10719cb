"""What the core answers: the job as it is now, the commands that are already in its outbox, and lossy effects."""

from dataclasses import dataclass
from enum import StrEnum

from studio9_common.contracts.job import Command, Job


class Answer(StrEnum):
    """What the event meant for the job."""

    applied = "applied"
    unchanged = "unchanged"
    """A duplicate, or nothing to do in this state."""
    superseded = "superseded"
    """From an attempt that no longer counts; recorded at most once."""
    too_late = "too_late"
    """The job had ended before: a cancel "finished first"."""
    unknown = "unknown"
    """There is no such job."""
    foreign = "foreign"
    """The job belongs to another organisation; to the caller it does not exist."""
    conflict = "conflict"
    """Another request was made under the same id."""


@dataclass(frozen=True, slots=True)
class CheckRelated:
    """Read the job's parent and dependencies and tell the core (RelatedSeen). Repeated by a deadline."""


@dataclass(frozen=True, slots=True)
class TellRelated:
    """The job ended: tell its children and dependents. The cleaner does it again, durably."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Publish this once, outside the outbox: whoever asked will ask again if it is lost."""

    command: Command


Effect = CheckRelated | TellRelated | Reply


@dataclass(frozen=True, slots=True)
class Decision:
    """`job` is None only where there is none. `changed`: it must be written."""

    job: Job | None
    changed: bool = False
    commands: tuple[Command, ...] = ()
    effects: tuple[Effect, ...] = ()
    answer: Answer = Answer.applied
