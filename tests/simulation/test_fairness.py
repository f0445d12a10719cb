"""Invariant 9 over a whole simulated installation: shares hold although Orions and the broker fail."""

import pytest

from studio9_cli.simulation.clock import EPOCH
from studio9_cli.simulation.plan import WORKERS, contention
from studio9_cli.simulation.world import World
from studio9_common.contracts.job import Job
from studio9_common.times import parse_time

SLOTS = sum(cpus + len(gpus) for cpus, gpus in WORKERS.values())
LONGEST_S = 60.0 + 30.0
"""A job, and what lies between its slot and its task: staging, beats, uploads."""


def at(time: str | None) -> float:
    """Seconds since the run began."""
    return (parse_time(time or "") - EPOCH).total_seconds()


def used(jobs: list[Job], since: float, until: float) -> float:
    """Slot-seconds within a time."""
    spans = [(at(one.assigned_at), at(one.ended_at)) for job in jobs for one in job.attempts]
    return sum(max(0.0, min(end, until) - max(start, since)) for start, end in spans)


@pytest.mark.parametrize("seed", range(4))
def test_an_organisation_gets_its_share_whoever_came_first(seed: int) -> None:
    world = World(contention(seed))
    run = world.run()
    assert run.problems == ()
    jobs: dict[str, list[Job]] = {"acme": [], "zeta": []}
    for wish in world.plan.wishes:
        job = world.job(wish.id)
        assert job is not None
        jobs[wish.organisation].append(job)
    first = {name: [at(job.attempts[0].assigned_at) for job in mine] for name, mine in jobs.items()}
    since, until = 110.0, min(max(times) for times in first.values())
    assert until - since > 300, "both wanted slots for a good while"
    shares = {name: used(mine, since, until) for name, mine in jobs.items()}
    assert abs(shares["acme"] - shares["zeta"]) / 2 <= SLOTS * LONGEST_S, shares
    assert min(shares.values()) > 0.3 * sum(shares.values())
