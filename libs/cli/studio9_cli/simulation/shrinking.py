"""From a run that failed to the least of it: fewer faults and fewer jobs that still show the same sort of problem."""

from collections.abc import Sequence
from dataclasses import replace

from studio9_cli.simulation.plan import Plan
from studio9_cli.simulation.substitutes import Substitute
from studio9_cli.simulation.world import Run, World

TRIES = 60
LINES = 60


def shrink(run: Run, plan: Plan, changes: Sequence[Substitute] = ()) -> tuple[Plan, Run]:
    """The smallest plan found within TRIES runs, and its run."""
    sort = run.problems[0].sort
    tries = 0

    def shows(smaller: Plan) -> Run | None:
        nonlocal tries
        tries += 1
        found = World(smaller).run(changes)
        return found if any(problem.sort == sort for problem in found.problems) else None

    for attribute in ("faults", "duties", "wishes"):
        size = len(getattr(plan, attribute)) // 2
        while size and tries < TRIES:
            start = 0
            while start < len(getattr(plan, attribute)) and tries < TRIES:
                parts = getattr(plan, attribute)
                smaller = replace(plan, **{attribute: parts[:start] + parts[start + size :]})
                found = shows(smaller) if _whole(smaller) else None
                if found is None:
                    start += size
                else:
                    plan, run = smaller, found
            size //= 2
    return plan, run


def _whole(plan: Plan) -> bool:
    """Whether no job is missing that another needs."""
    there = {wish.id for wish in plan.wishes}
    return all(there.issuperset(wish.depends_on) and wish.parent in {None, *there} for wish in plan.wishes)


def story(plan: Plan, run: Run) -> list[str]:
    """What happened to the jobs that the problems are about, all faults and what operators did: at most LINES lines."""
    names = {problem.job for problem in run.problems if problem.job}
    told = [
        line
        for line in run.trace
        if any(word in line for word in (" fault ", " healed ", " operator ")) or not names or names & set(line.split())
    ]
    cut = max(0, len(told) - LINES)
    return ([f"... {cut} lines before"] if cut else []) + told[cut:]
