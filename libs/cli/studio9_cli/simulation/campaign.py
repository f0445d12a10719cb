"""Many runs: their counts, their failures with a shrunk trace, and whether each planted bug is found."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import get_context
from typing import Any

from studio9_cli import project
from studio9_cli.simulation.faults import label
from studio9_cli.simulation.plan import plan_of
from studio9_cli.simulation.plants.catalogue import NEEDS, plants
from studio9_cli.simulation.shrinking import shrink, story
from studio9_cli.simulation.world import Run, World
from studio9_orion.core.table import TABLE

SORTS = ("lost", "doubled", "stuck", "leaked", "broken")
BATCH = 25
"""Runs after which progress is told."""
SHOWN = 2
"""Failures of a batch that are shrunk and told in full; the others give their seed."""
PLANT_SEEDS = 600
"""Seeds that are tried for one planted bug."""

LEGAL = frozenset((str(phase), event) for phase, row in TABLE.items() for event in row)
"""Pairs of a job's phase and an event that may lead somewhere; any other event in a phase changes nothing there."""

Told = Callable[[str], None]


@dataclass
class Batch:
    """What some runs came to."""

    counts: Counter[str] = field(default_factory=Counter)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    injected: Counter[str] = field(default_factory=Counter)
    took_effect: Counter[str] = field(default_factory=Counter)
    simulated_s: float = 0.0
    failures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, other: "Batch") -> None:
        self.counts += other.counts
        self.pairs |= other.pairs
        self.injected += other.injected
        self.took_effect += other.took_effect
        self.simulated_s += other.simulated_s
        self.failures += other.failures


def run_batch(seeds: range) -> Batch:
    """Runs some seeds, one after the other."""
    batch = Batch()
    for seed in seeds:
        run = World(plan_of(seed)).run()
        batch.pairs |= run.pairs
        batch.injected.update(run.injected)
        batch.took_effect.update(run.took_effect)
        batch.simulated_s += run.simulated_s
        batch.counts.update(problem.sort for problem in run.problems)
        if run.problems:
            batch.failures.append(failure(run, shrinks=len(batch.failures) < SHOWN))
    return batch


def simulate(runs: int, seed: int, *, tell: Told, processes: int = 1, within_s: float | None = None) -> dict[str, Any]:
    """Runs seeds `seed` to `seed + runs - 1` and reports. What is reported does not depend on `processes`.

    After `within_s` seconds nothing new is begun: `runs` in the report says how many there were.
    """
    began = time.monotonic()
    parts = iter([range(start, min(start + BATCH, seed + runs)) for start in range(seed, seed + runs, BATCH)])
    total = Batch()
    done = 0
    with _lanes(processes) as begin:
        working = deque((seeds, begin(seeds)) for seeds in islice(parts, _ahead(processes)))
        while working:
            seeds, answer = working.popleft()
            batch = answer()
            if within_s is None or time.monotonic() - began < within_s:
                working.extend((seeds, begin(seeds)) for seeds in islice(parts, 1))
            total.add(batch)
            done += len(seeds)
            for one in batch.failures:
                tell("\n".join(_lines(one)))
            tell(f"{done} runs, {len(total.failures)} failed, {time.monotonic() - began:.0f} s")
    return {
        "commit": project.commit(),
        "seed": seed,
        "runs": done,
        **{sort: total.counts[sort] for sort in SORTS},
        "simulated_hours": round(total.simulated_s / 3600, 2),
        "pairs_reached": len(total.pairs),
        "legal_pairs": len(LEGAL),
        "legal_pairs_reached": len(LEGAL & total.pairs),
        "legal_pairs_missed": _named(LEGAL - total.pairs),
        "state_event_pairs": _named(total.pairs),
        "faults": {
            name: {"injected": count, "took_effect": total.took_effect[name]}
            for name, count in sorted(total.injected.items())
        },
        "seconds": round(time.monotonic() - began, 2),
        "processes": processes,
        "failures": total.failures,
    }


def _ahead(processes: int) -> int:
    """How many batches are begun or wait: while the oldest is waited for, no process runs out of work."""
    return 2 * processes if processes > 1 else 1


@contextmanager
def _lanes(processes: int) -> Iterator[Callable[[range], Callable[[], Batch]]]:
    """What begins a batch, and gives what waits for it."""
    if processes <= 1:
        yield lambda seeds: partial(run_batch, seeds)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield lambda seeds: pool.submit(run_batch, seeds).result


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


def find_plants(
    names: Iterable[str], seed: int, *, tell: Told, seeds: int = PLANT_SEEDS, processes: int = 1
) -> list[dict[str, Any]]:
    """For each planted bug the first seed that finds it, whatever `processes`."""
    found = []
    look = partial(find_plant, seed=seed, seeds=seeds)
    with ExitStack() as stack:
        if processes > 1:
            pool = stack.enter_context(ProcessPoolExecutor(processes, mp_context=get_context("spawn")))
            answers: Iterable[dict[str, Any]] = pool.map(look, names)
        else:
            answers = map(look, names)
        for one in answers:
            how = f"found by seed {one['seed']}: {one['problem']}" if one["found"] else "NOT found"
            tell(f"{one['name']:<36} {how}")
            found.append(one)
    return found


def find_plant(name: str, seed: int, *, seeds: int = PLANT_SEEDS) -> dict[str, Any]:
    """Looks for one planted bug: the first seed that fails with it and holds without it."""
    plant, needs = plants()[name], NEEDS.get(name)
    for number in range(seed, seed + seeds):
        plan = plan_of(number)
        kinds = {*map(label, plan.faults), *(duty.kind for duty in plan.duties)}
        if needs is not None and needs not in kinds | {wish.spec.kind for wish in plan.wishes}:
            continue
        run = World(plan).run(plant())
        if run.problems and not World(plan).run().problems:
            problem = run.problems[0]
            return {"name": name, "found": True, "seed": number, "problem": f"{problem.sort}: {problem.what}"}
    return {"name": name, "found": False, "seed": None, "problem": None}


def _named(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return sorted(f"{phase} × {event}" for phase, event in pairs)


def _problems(run: Run) -> list[str]:
    return [f"{one.at:.1f} s {one.sort} {one.job}: {one.what}" for one in run.problems[:20]]


def _lines(told: dict[str, Any]) -> list[str]:
    lines = [f"seed {told['seed']}:", *(f"  {line}" for line in told["problems"])]
    if "trace" in told:
        lines += [f"  shrunk to {told['jobs']} jobs and these faults:", *(f"    {line}" for line in told["faults"])]
        lines += [f"    {line}" for line in told["trace"]]
    return lines
