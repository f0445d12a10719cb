"""The simulation itself: a seed is one run, the real parts hold, planted bugs are found."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from studio9_cli.simulation.campaign import failure, find_plant
from studio9_cli.simulation.plan import FAULTS, JOBS, SEARCH, plan_of
from studio9_cli.simulation.plants.catalogue import plants
from studio9_cli.simulation.shrinking import shrink
from studio9_cli.simulation.substitutes import replaced
from studio9_cli.simulation.world import World


def test_a_seed_is_one_run_bit_for_bit() -> None:
    first, again = World(plan_of(7)).run(), World(plan_of(7)).run()
    assert first.digest == again.digest
    assert first.trace == again.trace
    assert first.digest != World(plan_of(8)).run().digest


def test_a_seed_is_the_same_run_in_another_process() -> None:
    program = (
        "from studio9_cli.simulation.plan import plan_of\n"
        "from studio9_cli.simulation.world import World\n"
        "print(*(World(plan_of(seed)).run().digest for seed in (7, 8)))"
    )
    told = []
    for hashing in ("0", "4711", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": hashing}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
        )
        told.append(done.stdout.split())
    assert told == [[World(plan_of(seed)).run().digest for seed in (7, 8)]] * 3


def test_plans_are_large_enough() -> None:
    for plan in map(plan_of, range(50)):
        assert len(plan.wishes) >= JOBS[0] >= 20
        assert len(plan.faults) >= FAULTS[0] >= 10


def test_tasks_ask_for_children_that_do_well_and_that_fail() -> None:
    asked: Counter[str] = Counter()
    for plan in [plan for plan in map(plan_of, range(10)) if any(wish.spec.kind == SEARCH for wish in plan.wishes)]:
        world = World(plan)
        assert world.run().problems == ()
        asked.update(str(job.state) for wish in world.asked_for() if (job := world.job(wish.id)) is not None)
    assert asked["completed"] > asked["failed"] > 0


@pytest.mark.parametrize(
    "name",
    [
        "written_without_comparing",
        "dependencies_by_one",
        "lost_attempt_keeps_its_fence",
        "retried_from_nothing",
        "asked_for_twice",
        "first_child_is_enough",
        "children_left_behind",
    ],
)
def test_planted_bugs_are_found(name: str) -> None:
    assert find_plant(name, 0, seeds=20)["found"]


def test_at_least_sixteen_bugs_are_planted_and_put_nothing_where_it_stays() -> None:
    assert len(plants()) >= 16
    for plant in plants().values():
        changes = plant()
        before = [getattr(target, name) for target, name, _ in changes]
        with replaced(changes):
            assert [getattr(target, name) for target, name, _ in changes] != before
        assert [getattr(target, name) for target, name, _ in changes] == before


def test_what_a_failure_tells_finds_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = plants()["lost_attempt_keeps_its_fence"]()
    seed = find_plant("lost_attempt_keeps_its_fence", 0, seeds=20)["seed"]
    for target, name, value in changes:
        monkeypatch.setattr(target, name, value)
    told = failure(World(plan_of(seed)).run())
    assert told["seed"] == seed
    assert told["problems"]
    assert told["shrunk"]
    assert any("PROBLEM" in line for line in told["trace"])
    assert 0 < told["jobs"] < len(plan_of(seed).wishes)


def test_a_failure_shrinks() -> None:
    changes = plants()["lost_attempt_keeps_its_fence"]()
    plan = plan_of(find_plant("lost_attempt_keeps_its_fence", 0, seeds=20)["seed"])
    smaller, run = shrink(World(plan).run(changes), plan, changes)
    assert run.problems
    assert len(smaller.faults) < len(plan.faults)
    assert len(smaller.wishes) < len(plan.wishes)
