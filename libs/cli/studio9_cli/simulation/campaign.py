"""Many runs: their counts, their failures with a shrunk trace, and whether each planted bug is found."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from studio9_cli import project
from studio9_cli.simulation.plan import plan_of
from studio9_cli.simulation.plants.catalogue import plants
from studio9_cli.simulation.shrinking import shrink, story
from studio9_cli.simulation.world import Run, World

SORTS = ("lost", "doubled", "stuck", "leaked", "broken")
SHOWN = 10
"""Failures that are shrunk and told in full; the others give their seed."""
PLANT_SEEDS = 400
"""Seeds that are tried for one planted bug."""

Told = Callable[[str], None]


def simulate(runs: int, seed: int, *, tell: Told) -> dict[str, Any]:
    """Runs seeds `seed` to `seed + runs - 1` and reports."""
    began = time.monotonic()
    counts = dict.fromkeys(SORTS, 0)
    pairs: set[tuple[str, str]] = set()
    simulated_s = 0.0
    failures: list[dict[str, Any]] = []
    for number in range(runs):
        run = World(plan_of(seed + number)).run()
        pairs |= run.pairs
        simulated_s += run.simulated_s
        for problem in run.problems:
            counts[problem.sort] += 1
        if run.problems:
            failures.append(failure(run, shrinks=len(failures) < SHOWN))
            tell("\n".join(_lines(failures[-1])))
        if (number + 1) % 100 == 0:
            tell(f"{number + 1} runs, {len(failures)} failed, {time.monotonic() - began:.0f} s")
    return {
        "commit": project.commit(),
        "seed": seed,
        "runs": runs,
        **counts,
        "simulated_hours": round(simulated_s / 3600, 2),
        "pairs_reached": len(pairs),
        "state_event_pairs": sorted(f"{phase} × {event}" for phase, event in pairs),
        "seconds": round(time.monotonic() - began, 2),
        "failures": failures,
    }


def failure(run: Run, *, shrinks: bool = True) -> dict[str, Any]:
    """A failed run as the report has it."""
    told: dict[str, Any] = {"seed": run.seed, "problems": _problems(run)}
    if shrinks:
        plan, smaller = shrink(run, plan_of(run.seed))
        told |= {
            "faults": [str(fault) for fault in plan.faults],
            "jobs": len(plan.wishes),
            "shrunk": _problems(smaller),
            "trace": story(plan, smaller),
        }
    return told


def find_plants(names: Iterable[str], seed: int, *, tell: Told, seeds: int = PLANT_SEEDS) -> list[dict[str, Any]]:
    """For each planted bug the first seed that finds it."""
    found = []
    for name in names:
        one = find_plant(name, seed, seeds=seeds)
        tell(f"{name:<36} " + (f"found by seed {one['seed']}: {one['problem']}" if one["found"] else "NOT found"))
        found.append(one)
    return found


def find_plant(name: str, seed: int, *, seeds: int = PLANT_SEEDS) -> dict[str, Any]:
    """Looks for one planted bug."""
    plant = plants()[name]
    for number in range(seed, seed + seeds):
        run = World(plan_of(number)).run(plant())
        if run.problems:
            problem = run.problems[0]
            return {"name": name, "found": True, "seed": number, "problem": f"{problem.sort}: {problem.what}"}
    return {"name": name, "found": False, "seed": None, "problem": None}


def _problems(run: Run) -> list[str]:
    return [f"{one.at:.1f} s {one.sort} {one.job}: {one.what}" for one in run.problems[:20]]


def _lines(told: dict[str, Any]) -> list[str]:
    lines = [f"seed {told['seed']}:", *(f"  {line}" for line in told["problems"])]
    if "trace" in told:
        lines += [f"  shrunk to {told['jobs']} jobs and these faults:", *(f"    {line}" for line in told["faults"])]
        lines += [f"    {line}" for line in told["trace"]]
    return lines
