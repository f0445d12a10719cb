"""Planted bugs in the worker."""

from typing import Any

from studio9_cli.simulation.machine import SimRunner
from studio9_cli.simulation.substitutes import Substitute, module
from studio9_orion.workers import Worker
from studio9_worker.admission import Verdict
from studio9_worker.agent import Agent
from studio9_worker.life import AttemptLife

_agent = module("studio9_worker.agent")


def result_forgotten_once_sent() -> list[Substitute]:
    """The worker forgets a result as soon as the broker has it."""

    async def hand_over(self: Any, result: Any) -> None:
        await self._context.publish(result, self.record.organisation, id=f"{self.record.key}")

    return [(AttemptLife, "_hand_over", hand_over)]


def tombstones_ignored() -> list[Substitute]:
    """The worker begins whatever it is told, also what was cancelled or superseded."""

    def judge(fence: int, *, highest: int, cancelled: int, here: bool, slot: bool) -> Verdict:
        if here:
            return Verdict.duplicate
        return Verdict.accept if slot else Verdict.no_slot

    return [(_agent, "judge", judge)]


def stop_not_heard() -> list[Substitute]:
    """The worker goes on with what Orion tells it to stop."""

    async def lease(self: Agent, message: Any) -> None:
        kept = tuple(one for one in message.leases if one.decision != "stop")
        await known(self, message.model_copy(update={"leases": kept}))

    known = Agent.lease
    return [(Agent, "lease", lease)]


def restart_forgets_attempts() -> list[Substitute]:
    """A restarted agent does not find its attempts again."""

    async def recover(self: Agent) -> None:
        return None

    return [(Agent, "recover", recover)]


def cut_off_means_stop() -> list[Substitute]:
    """A worker that hears nothing for a lease gives everything up, instead of going on for the grace."""

    def given_up(leases: Any, now: float, grace_s: float) -> Any:
        return known(leases, now, 0.0)

    known = _agent.given_up
    return [(_agent, "given_up", given_up)]


def stop_without_effect() -> list[Substitute]:
    """The task is told to stop, and nobody makes sure that it does."""

    async def stop(self: SimRunner, folder: Any, grace_s: float | None = None) -> None:
        return None

    return [(SimRunner, "stop", stop)]


def slots_shared() -> list[Substitute]:
    """Slots are given by the last beat alone, without what was given since, and the worker takes what it is told."""
    places = Worker.places

    def as_shown(self: Worker, busy: Any = None, ended: frozenset[str] = frozenset()) -> Any:
        return places(self, None, ended)

    def slots_of(self: Agent, message: Any, older: Any) -> tuple[str, ...]:
        if self.draining:
            return ()
        return tuple(slot.id for slot in self.slots.fitting(message.spec.requirements, ()))

    return [(Worker, "places", as_shown), (Agent, "_slots", slots_of)]


def drain_forgotten() -> list[Substitute]:
    """A drained worker that was restarted takes jobs again."""
    known = Agent.recover

    async def recover(self: Agent) -> None:
        await known(self)
        self.draining = False

    return [(Agent, "recover", recover)]


PLANTS = (
    slots_shared,
    drain_forgotten,
    result_forgotten_once_sent,
    tombstones_ignored,
    stop_not_heard,
    restart_forgets_attempts,
    cut_off_means_stop,
    stop_without_effect,
)
