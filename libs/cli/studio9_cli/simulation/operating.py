"""The operator of the installation: drains workers and lets them work again, limits what an organisation may run."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from studio9_cli.simulation.nodes import Process
from studio9_cli.simulation.plan import Duty
from studio9_cli.simulation.substitutes import light_encode
from studio9_common.contracts.envelope import SYSTEM
from studio9_common.contracts.messages import WorkerDrain
from studio9_common.errors import Studio9Error
from studio9_common.times import format_time
from studio9_orion.scheduler.rules import Rules
from studio9_worker.agent import DRAIN

if TYPE_CHECKING:
    from studio9_cli.simulation.world import World

AGAIN_S = 20.0
"""After so long the operator looks whether a worker does as it was told, and tells it again."""


class Operator(Process):
    """Does the duties of a plan. `rules` are those that Argo has now, `limited` since when an organisation's hold."""

    def __init__(self, world: "World") -> None:
        super().__init__(world, "operator")
        self.rules = Rules()
        self.limited: dict[str, float] = {}

    async def _main(self) -> None:
        do = {"drain": self._drain, "limit": self._limit}
        tasks = [asyncio.create_task(do[duty.kind](duty)) for duty in self.world.plan.duties]
        if tasks:
            await asyncio.wait(tasks)

    async def _drain(self, duty: Duty) -> None:
        loop = self.world.loop
        await asyncio.sleep(duty.at - loop.now)
        await self._tell(duty.target, draining=True, until=duty.at + duty.lasts)
        await asyncio.sleep(duty.at + duty.lasts - loop.now)
        await self._tell(duty.target, draining=False)

    async def _tell(self, worker: str, *, draining: bool, until: float | None = None) -> None:
        """Tells a worker until it does so, or until a time."""
        self.world.note(f"operator {'drains' if draining else 'resumes'} {worker}")
        order = WorkerDrain(worker=worker, draining=draining, at=format_time(self.clock.now()))
        disk = self.world.workers[worker].disk
        while disk.facts.get(DRAIN, " ready").endswith(" draining") is not draining:
            if until is not None and self.world.loop.now + AGAIN_S > until:
                return
            try:
                await self.bus.publish(light_encode(order, source="orion", organisation=SYSTEM, mandatory=True))
            except Studio9Error:
                self.world.note(f"operator cannot reach {worker}")
            await asyncio.sleep(AGAIN_S)

    async def _limit(self, duty: Duty) -> None:
        loop = self.world.loop
        await asyncio.sleep(duty.at - loop.now)
        self._set(duty.target, duty.amount)
        await asyncio.sleep(duty.at + duty.lasts - loop.now)
        self._set(duty.target, None)

    def _set(self, organisation: str, limit: int | None) -> None:
        """As Argo tells every Orion that is there; the others read it when they begin."""
        self.world.note(f"operator limits {organisation} to {limit}")
        self.rules = replace(self.rules, limits={**self.rules.limits, organisation: limit})
        self.limited[organisation] = self.world.loop.now
        for orion in self.world.orions.values():
            if orion.engine is not None:
                orion.engine.rules = self.rules
                orion.engine.scheduler.wake()
