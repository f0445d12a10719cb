"""The beat: every few seconds what this worker has and does, and at once when something has changed."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from studio9_common.contracts.envelope import SYSTEM, MessageTooLarge
from studio9_common.contracts.messages import WorkerBeat
from studio9_common.errors import Studio9Error
from studio9_worker.agent import Agent
from studio9_worker.lease import beat_sent
from studio9_worker.life import AttemptLife
from studio9_worker.machine import usage

SOON_S = 0.3
"""Least time between two beats."""
MOST = 150
"""Attempts of one beat, so that it stays a message; of more, each beat shows the next ones."""
GENERATION = 1 << 32
"""Beat numbers of one instance of the agent; those of its successors are higher."""


class Beats:
    """Sends them while `heard()` (our own queue takes the answers). The first carry the catalogue until one is
    answered. `generation` counts the starts of this worker's agent, `instance` is the id of this one."""

    def __init__(self, agent: Agent, heard: Callable[[], bool], *, generation: int, instance: str) -> None:
        self._catalogue: Mapping[str, Any] | None = None
        self._agent = agent
        self._heard = heard
        self._instance = instance
        self._number = generation * GENERATION
        self._announced_from = 0
        self._away = False
        self._from = 0

    def announce(self, catalogue: Mapping[str, Any]) -> None:
        """From now on beats tell what the trainers can do, until one is answered."""
        self._catalogue = catalogue
        self._announced_from = self._number + 1
        self._agent.changed.set()

    async def run(self) -> None:
        context = self._agent.context
        while True:
            self._agent.changed.clear()
            heard = self._heard()
            if heard:
                await self._beat()
            await self._agent.watch()
            await asyncio.sleep(min(SOON_S, context.settings.beat_s))
            try:
                async with asyncio.timeout(context.settings.beat_s - SOON_S if heard else 0):
                    await self._agent.changed.wait()
            except TimeoutError:
                continue

    async def _beat(self) -> None:
        context = self._agent.context
        now = context.clock.monotonic()
        copies = self._copies(now)
        self._number += 1
        # The lease counts from here: what the broker takes to confirm is on its account.
        self._agent.leases = beat_sent(self._agent.leases, self._number, now)
        try:
            async with asyncio.timeout(context.settings.lease_s / 2):
                for _ in range(copies):
                    try:
                        await context.publish(self._message(), SYSTEM, needed=False)
                    except MessageTooLarge:
                        await context.publish(self._message(small=True), SYSTEM, needed=False)
        except (Studio9Error, TimeoutError) as error:
            if not self._away:
                context.log.warning("beat_not_sent", reason=str(error) or type(error).__name__)
            self._away = True
        else:
            self._away = False

    def _copies(self, now: float) -> int:
        """Two, once nobody has answered for half a lease: the broker gives its messages to the Orions in turns, and one
        that is frozen takes its share of them in silence, perhaps all of ours."""
        oldest = min(self._agent.leases.sent.values(), default=now)
        return 2 if now - oldest > self._agent.context.settings.lease_s / 2 else 1

    def _message(self, *, small: bool = False) -> WorkerBeat:
        agent = self._agent
        attempts = tuple(life.beat(self._number) for life in self._shown())
        if small:
            attempts = tuple(one.model_copy(update={"metrics": {}}) for one in attempts)
        unanswered = agent.leases.answered < self._announced_from
        return WorkerBeat(
            worker=agent.context.worker,
            instance=self._instance,
            sequence=self._number,
            slots=agent.slots.occupied(agent.occupied()),
            labels=agent.slots.labels,
            runners=(agent.context.runner.name,),
            draining=agent.draining,
            attempts=attempts,
            machine={**usage(), **agent.machine},
            announcement=self._catalogue if unanswered and not small else None,
        )

    def _shown(self) -> list[AttemptLife]:
        """The attempts that this beat tells of; where they are too many, the others follow soon."""
        lives = self._agent.lives
        if len(lives) <= MOST:
            return lives
        begin = self._from % len(lives)
        self._from = begin + MOST
        self._agent.changed.set()
        return (lives + lives)[begin : begin + MOST]
