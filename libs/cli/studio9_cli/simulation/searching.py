"""Searches: tasks that ask for children, round by round, and what the children must come to. What a search does next
follows from its request alone, as in the product: the children that it was given say which round is over.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from studio9_cli.simulation.plan import SEARCH, Wish
from studio9_common.contracts.job import TERMINAL, Job, Spec
from studio9_common.contracts.messages import WorkerRun
from studio9_task.children import Asked, AskedChild

if TYPE_CHECKING:
    from studio9_cli.simulation.world import World

TRIAL = "trial"


def rounds_over(run: WorkerRun) -> int:
    """How many rounds of children have ended, as the names of those that a run is given tell."""
    return 0 if not run.children else 1 + int(run.children[0].name.partition("-")[0][1:])


def epochs_of(run: WorkerRun, resumed: int) -> tuple[int, int]:
    """From which epoch to which a task goes on; each run of a search is one epoch, whose checkpoint is its state."""
    if run.spec.kind == SEARCH:
        over = rounds_over(run)
        return over, over + 1
    epochs = run.spec.parameters["epochs"]
    return min(resumed, epochs - 1), epochs


def names_of(spec: Spec, over: int) -> tuple[str, ...]:
    """The children that a search asks for when so many rounds are over; none when it is through."""
    rounds = spec.parameters["rounds"]
    return tuple(f"r{over}-{n}" for n in range(len(rounds[over]))) if over < len(rounds) else ()


def asks(run: WorkerRun) -> bool:
    """Whether this run ends by asking for children."""
    return run.spec.kind == SEARCH and bool(names_of(run.spec, rounds_over(run)))


def asked_by(run: WorkerRun) -> bytes:
    """The file in which a run asks."""
    over = rounds_over(run)
    given: list[Mapping[str, Any]] = run.spec.parameters["rounds"][over]
    children = tuple(
        AskedChild(name=name, kind=TRIAL, framework="simulated", parameters=parameters)
        for name, parameters in zip(names_of(run.spec, over), given, strict=True)
    )
    return Asked(children=children).model_dump_json().encode()


class Rounds:
    """Watches what is asked for, and what comes of it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.wishes: dict[str, Wish] = {}
        """What was asked for, by job."""
        self._asked: dict[str, list[tuple[str, ...]]] = {}
        """By search, the jobs of each round."""
        self._names: dict[str, str] = {}

    def name_of(self, job: str) -> str | None:
        return self._names.get(job)

    def created(self, job: Job) -> None:
        """A job is new: a search's child is there only if it was asked for."""
        if job.spec.kind == TRIAL and job.id not in self.wishes:
            self._world.oracle.problem("doubled", "is a child that nobody has asked for", job.parent or job.id)

    def written(self, before: Job, after: Job) -> None:
        """A search's document has changed."""
        if after.children_made != before.children_made:
            self._asks(before, after)
        if after.fence > before.fence and (open_ := self.open(after.id)):
            self._world.oracle.problem(
                "broken", f"goes on, though {len(open_)} of its children have not ended", after.id
            )

    def _asks(self, before: Job, after: Job) -> None:
        world, rounds = self._world, self._asked.setdefault(after.id, [])
        if open_ := self.open(after.id):
            world.oracle.problem("doubled", f"asks anew, though {len(open_)} of its children have not ended", after.id)
        names = tuple(one.name for one in after.children)
        wanted = names_of(world.wish(after.id).spec, len(rounds))
        if names != wanted:
            world.oracle.problem(
                "doubled", f"asked for {', '.join(names)}, and had to for {', '.join(wanted)}", after.id
            )
        if (made := after.children_made - before.children_made) != len(names):
            world.oracle.problem("doubled", f"asked for {made} children, and knows {len(names)} of them", after.id)
        rounds.append(tuple(one.job for one in after.children))
        for child in after.children:
            ending = ",".join(child.spec.parameters["endings"])
            self.wishes[child.job] = Wish(
                child.job, world.loop.now, after.organisation, child.spec, ending, after.priority, parent=after.id
            )
            self._names[child.job] = f"{world.name_of(after.id)}.{child.name}"

    def open(self, search: str) -> list[str]:
        """The children of the last round that have not ended."""
        last = (self._asked.get(search) or [()])[-1]
        found = ((one, self._world.job(one)) for one in last)
        return [one for one, job in found if job is None or job.state not in TERMINAL]

    def begun(self, run: WorkerRun, resumed: int) -> None:
        """A search's task begins: it gets what came of its last round, all of it, and its own last state.

        An order that comes after its attempt was given up tells what was so when it was written, and has no effect."""
        world, rounds = self._world, self._asked.get(run.job, [])
        job = world.job(run.job)
        if job is not None and job.fence > run.fence:
            return
        given = [(one.job, one.state, one.manifest) for one in run.children]
        if given != [self._came_of(one) for one in (rounds[-1] if rounds else ())]:
            world.oracle.problem("lost", "does not get what came of its children", run.job)
        if resumed < len(rounds):
            world.oracle.problem("lost", f"begins anew after {len(rounds)} rounds", run.job)

    def _came_of(self, child: str) -> tuple[Any, ...]:
        job = self._world.job(child)
        if job is None:
            return child, None, None
        return child, job.state, job.result.manifest if job.result else None

    def incomplete(self, search: Job) -> bool:
        """Whether a search that has completed left out a round, or did not wait for its last."""
        wanted = self._world.wish(search.id).spec.parameters["rounds"]
        return len(self._asked.get(search.id, ())) != len(wanted) or bool(self.open(search.id))

    def over(self, child: str) -> bool:
        """Whether this job is a search's child, and its search has ended: nobody needs what it has made."""
        wish = self.wishes.get(child)
        parent = self._world.job(wish.parent or "") if wish is not None else None
        return parent is not None and parent.state in TERMINAL

    def needless(self, child: Wish) -> bool:
        """Whether a child that is not there need not be: its parent ended before its request was taken."""
        parent = self._world.job(child.parent or "")
        return child.id in self.wishes and parent is not None and parent.state in TERMINAL
