"""Planted bugs in how a task's children are asked for and waited for."""

from typing import Any

from studio9_cli.simulation.substitutes import Substitute
from studio9_common.contracts.job import TERMINAL, Job, Phase
from studio9_common.contracts.messages import JobRequested, Message, WorkerRun
from studio9_orion import cleaner, rendering
from studio9_orion.cleaner import Cleaner
from studio9_orion.core import asking, resulting
from studio9_orion.core.decision import Decision
from studio9_orion.core.draft import Draft
from studio9_orion.core.events import ResultReceived
from studio9_orion.core.keeping import emptied
from studio9_orion.core.life import WAITING
from studio9_orion.orphans import OrphanSweeper, Removed
from studio9_orion.sender import Sender


def child_request_lost() -> list[Substitute]:
    """A child's request that the broker did not take counts as sent, and the parent does not ask again."""
    known = Sender.send

    async def send(self: Sender, orders: Any) -> Any:
        outcomes = await known(self, orders)
        requests = [order.command.type == JobRequested.type for order in orders]
        return [None if request else outcome for request, outcome in zip(requests, outcomes, strict=True)]

    def request_again(draft: Draft, unknown: Any) -> None:
        return None

    return [(Sender, "send", send), (asking, "request_again", request_again)]


def asked_for_twice() -> list[Substitute]:
    """A result that asks for children, and comes again, asks again."""
    known = resulting.result_received

    def result_received(draft: Draft, event: ResultReceived) -> Decision:
        job = draft.job
        if event.children and event.fence == job.fence and job.phase in WAITING and job.children:
            asking.ask(draft, event.children)
            return draft.decision()
        return known(draft, event)

    return [(resulting, "result_received", result_received)]


def first_child_is_enough() -> list[Substitute]:
    """A parent goes on when the first of its children has ended."""

    def waits(draft: Draft) -> bool:
        return draft.job.phase is Phase.backing_off and all(one.state is None for one in draft.job.children)

    return [(asking, "waits", waits)]


def children_brought_once() -> list[Substitute]:
    """What came of children is brought to the next attempt alone: one that follows a lost one gets nothing."""
    known = rendering.message_of

    def message_of(job: Job, command: Any, policy: Any) -> Message:
        made = known(job, command, policy)
        if isinstance(made, WorkerRun) and [one.outcome for one in job.attempts][-2:-1] != ["succeeded"]:
            return made.model_copy(update={"children": ()})
        return made

    return [(rendering, "message_of", message_of)]


def children_left_behind() -> list[Substitute]:
    """A search ends, and what its children have made stays."""

    async def empty_children(self: Cleaner, over: Any) -> dict[str, int]:
        return {}

    return [(Cleaner, "empty_children", empty_children)]


def late_children_left_behind() -> list[Substitute]:
    """What children have made goes with their search, but a child that ends after its search is forgotten."""
    known = Cleaner.empty_children

    async def empty_children(self: Cleaner, over: Any) -> dict[str, int]:
        return await known(self, [job for job in over if not job.parent])

    async def sweep(self: OrphanSweeper) -> Removed:
        return Removed()

    return [(Cleaner, "empty_children", empty_children), (OrphanSweeper, "sweep", sweep)]


def children_emptied_early() -> list[Substitute]:
    """What a child has made is removed as soon as it has ended, before its search has had it."""

    def needless(job: Job, parents: Any) -> bool:
        return job.state in TERMINAL and asking.asked_for(job) and not emptied(job)

    return [(cleaner, "_needless", needless)]


PLANTS = (
    child_request_lost,
    asked_for_twice,
    first_child_is_enough,
    children_brought_once,
    children_left_behind,
    late_children_left_behind,
    children_emptied_early,
)
