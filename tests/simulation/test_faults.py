"""Every kind of fault is really there: it is injected, and it meets somebody."""

from collections import Counter

import pytest

from studio9_cli.simulation.faults import label
from studio9_cli.simulation.plan import KINDS, plan_of
from studio9_cli.simulation.world import World

LABELS = sorted(
    {*KINDS} - {"cut", "outage", "disk_full", "clock_skew", "crash_client"}
    | {f"cut:{part}" for part in ("bus", "store", "objects")}
    | {f"outage:{part}" for part in ("bus", "store", "objects", "orions")}
    | {f"hour_without:{part}" for part in ("bus", "store", "objects", "orions", "w1")}
    | {f"disk_full:{disk}" for disk in ("worker", "bus", "store")}
    | {"clock_skew:orion", "clock_skew:worker", "crash_client:baile", "crash_client:pegasus"}
)
SEEDS = 600
"""Plans that are searched for each fault; making one costs a millisecond."""
TRIES = 6
"""Runs in which a fault must meet somebody once."""


def test_every_fault_is_injected_and_takes_effect() -> None:
    plans = [plan_of(seed) for seed in range(SEEDS)]
    missing = {*LABELS}
    tried: Counter[str] = Counter()
    for plan in plans:
        here = {label(fault) for fault in plan.faults}
        if not any(name in missing and tried[name] < TRIES for name in here):
            continue
        if all(name.startswith("hour") for name in missing) and not any(name in missing for name in here):
            continue
        run = World(plan).run()
        assert run.problems == (), (plan.seed, run.problems)
        assert set(run.injected) == here
        tried.update(here)
        missing -= {name for name, count in run.took_effect.items() if count}
    assert not missing


@pytest.mark.parametrize("seed", range(3))
def test_all_that_may_happen_happens_to_somebody(seed: int) -> None:
    """Plans hold what the product can do: GPUs, families, retries, cancels, priorities, several organisations."""
    wishes = [wish for number in range(20 * seed, 20 * seed + 20) for wish in plan_of(number).wishes]
    assert {wish.organisation for wish in wishes} == {"acme", "zeta"}
    assert {wish.spec.kind for wish in wishes} == {"train", "predict", "evaluate", "tune"}
    assert {wish.spec.child_failure for wish in wishes} == {"go_on", "fail"}
    assert {wish.spec.requirements.gpus for wish in wishes} == {0, 1, 2}
    assert {duty.kind for number in range(20) for duty in plan_of(number).duties} == {"drain", "limit"}
    for there in ("cancel_at", "depends_on", "parent", "retry_of", "move"):
        assert any(getattr(wish, there) for wish in wishes), there
