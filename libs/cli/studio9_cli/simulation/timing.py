"""How fast the clocks of a run's Orions and workers go: beats, leases, sweeps and deadlines, drawn by the seed.

An hour of the product's own times would be mostly beats and sweeps that find nothing. A run's are several times as
long, in proportions that differ from run to run, and so are the faults that are measured in leases: what is the same
in every run may hide what only another order of beats, sweeps and deadlines shows.
"""

import random
from dataclasses import dataclass
from functools import lru_cache

from studio9_orion.settings import OrionSettings
from studio9_worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Timing:
    """`pace`: so many times longer than by default everything takes. `beats`: so many beats a lease holds."""

    pace: float = 6.0
    beats: int = 4

    @property
    def lease_s(self) -> float:
        """How long a beat holds."""
        return 20.0 * self.pace

    @property
    def training(self) -> float:
        """So many times longer than usual trainings are: what is lost with a worker must still run when it is back."""
        return min(self.pace / 6.0, 2.0)

    @property
    def look_s(self) -> float:
        """Time between two looks of the oracle at everything: two thirds of a tick."""
        return self.pace * 10.0 / 3.0


USUAL = Timing()
TIMINGS = (USUAL, Timing(12.0), Timing(12.0, beats=3), Timing(18.0, beats=3))
"""The timings of runs; each comes as often as the others."""


def timing_of(seed: int) -> Timing:
    """The timing of a seed, drawn apart, so that a change of one does not change what is drawn for the rest."""
    return random.Random(f"timing:{seed}").choice(TIMINGS)


@lru_cache(8)
def settings(timing: Timing) -> tuple[OrionSettings, WorkerSettings]:
    """The settings of all Orions and all workers of a run."""
    pace, lease_s = timing.pace, timing.lease_s
    orion = OrionSettings(
        lease_s=lease_s,
        tick_s=5 * pace,
        orphan_tick_s=60 * pace,
        full_read_s=60 * pace,
        assigned_s=30 * pace,
        cancelling_s=25 * pace,
        cleaning_s=30 * pace,
        related_s=5 * pace,
    )
    worker = WorkerSettings(beat_s=lease_s / timing.beats, lease_s=lease_s, poll_s=5 * pace, sweep_s=60 * pace)
    return orion, worker
