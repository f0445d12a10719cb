"""How long the core waits for what. All durations are seconds; the service's settings fill them."""

from dataclasses import dataclass

from studio9_common.contracts.job import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The numbers that the core decides by.

    `assigned_s`: until an assigned worker must have shown the attempt in a beat. `starting_s`: until it must run;
    `starting_sources_s`: the same for a job whose inputs come from buckets of users' own, however far away.
    `silent_check_s`: how often a running job is looked at even though its beats are fresh (silence itself is found
    through the beats). `overrun_s`: what is granted beyond the job's own `max_run_s`, which the worker enforces.
    `cancelling_s` plus one tick of the sweep stays within the 30 s that a cancel may take.
    """

    lease_s: float = 20.0
    assigned_s: float = 30.0
    starting_s: float = 900.0
    starting_sources_s: float = 7_200.0
    silent_check_s: float = 300.0
    overrun_s: float = 60.0
    queue_s: float = 7 * 86_400.0
    related_s: float = 30.0
    cancelling_s: float = 25.0
    cancel_grace_s: float = 20.0
    cleaning_s: float = 30.0
    cleaning_max_s: float = 600.0
    outputs_retry_s: float = 60.0
    outputs_retry_max_s: float = 3_600.0
    outputs_s: float = 86_400.0
    refused_s: float = 2.0
    back_off_s: tuple[float, ...] = (2.0, 15.0, 60.0)
    keep_checkpoints_s: float = 7 * 86_400.0
    max_request: int = 24 * 1024
    """Bytes of a request (spec and context as JSON) that fit a job document beside its result and history."""
    max_summary: int = 24 * 1024
    max_children: int = 8
    """Children that one task may ask for at its end."""
    max_children_in_all: int = 2_000
    """Children of one job over all its tasks: one that asks for ever is ended."""
    max_children_bytes: int = 20 * 1024
    """Bytes of their requests; a parent has no result yet that would need the room."""

    def starting(self, spec: Spec) -> float:
        """Seconds from the first sign of an attempt until its task must run."""
        from_buckets = any(one.source is not None for one in spec.inputs)
        return max(self.starting_s, self.starting_sources_s) if from_buckets else self.starting_s

    def back_off(self, spent: int) -> float:
        """The wait before retry number `spent` (1 for the first)."""
        return self.back_off_s[min(spent, len(self.back_off_s)) - 1]
