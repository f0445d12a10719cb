"""Our own workers as a provider: commands over the bus, state from the workers' beats."""

from collections.abc import Sequence

from studio9_common.bus.port import Bus, Outgoing
from studio9_common.contracts.job import Spec
from studio9_common.errors import Studio9Error
from studio9_common.times import Clock, format_time
from studio9_orion.beats import Beats
from studio9_orion.core import Policy
from studio9_orion.providers.port import AttemptStatus, Estimate, Order, Place, fits, fits_now
from studio9_orion.rendering import outgoing_of
from studio9_orion.workers import Workers


class WorkersProvider:
    """See the module's docstring; costs nothing, starts as soon as a slot is free."""

    name = "workers"

    def __init__(self, bus: Bus, beats: Beats, workers: Workers, clock: Clock, policy: Policy) -> None:
        self._bus, self._beats, self._workers, self._clock, self._policy = bus, beats, workers, clock, policy

    async def validate(self) -> None:
        """Raises BusUnavailable while the broker is away; workers need no other credentials."""
        await self._bus.ping()

    async def estimate(self, spec: Spec) -> Estimate:
        """Free, and at once where a fitting slot is free now."""
        places = [place for place in await self.capacity() if fits(spec.requirements, spec.untrusted, place)]
        if not places:
            return Estimate(None, None, possible=False, why="no worker has a slot like that")
        return Estimate(
            None, 0.0 if any(fits_now(spec.requirements, spec.untrusted, place) for place in places) else None
        )

    async def submit(self, orders: Sequence[Order]) -> list[Studio9Error | None]:
        return await self._publish(orders)

    async def cancel(self, orders: Sequence[Order]) -> list[Studio9Error | None]:
        return await self._publish(orders)

    async def status(self, attempts: Sequence[tuple[str, int]]) -> list[AttemptStatus]:
        now = format_time(self._clock.now())
        heard = await self._beats.heard_until(attempts)
        return [
            AttemptStatus(job, fence, "running" if heard.get((job, fence), "") > now else "unknown")
            for job, fence in attempts
        ]

    async def capacity(self) -> list[Place]:
        present = await self._workers.present(self._clock.now(), self._policy.lease_s)
        return [place for worker in present for place in worker.places()]

    async def _publish(self, orders: Sequence[Order]) -> list[Studio9Error | None]:
        messages: list[Outgoing] = [outgoing_of(order.job, order.command, self._policy) for order in orders]
        return await self._bus.publish_many(messages)
