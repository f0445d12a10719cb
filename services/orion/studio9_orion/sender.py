"""Sends commands: those to an attempt through its provider, all others over the bus, and awaits their confirms."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from studio9_common.bus.port import Bus, Outgoing
from studio9_common.contracts.messages import WorkerCancel, WorkerRun
from studio9_common.errors import Studio9Error, Unavailable
from studio9_orion.core import Policy
from studio9_orion.providers.found import chosen
from studio9_orion.providers.port import Order, Provider
from studio9_orion.rendering import outgoing_of

Outcomes = list[Studio9Error | None]


class Sender:
    """See the module's docstring."""

    def __init__(self, bus: Bus, providers: Mapping[str, Provider], policy: Policy) -> None:
        self._bus, self._providers, self._policy = bus, providers, policy

    async def send(self, orders: Sequence[Order]) -> Outcomes:
        """One entry per order: None once it is confirmed, or why not. Raises nothing."""
        groups: dict[tuple[str, str], list[int]] = {}
        for index, order in enumerate(orders):
            groups.setdefault(self._way(order), []).append(index)
        outcomes: Outcomes = [None] * len(orders)

        async def one(way: tuple[str, str], indices: list[int]) -> None:
            part = [orders[index] for index in indices]
            for index, outcome in zip(indices, await self._through(way, part), strict=True):
                outcomes[index] = outcome

        if len(groups) == 1:
            await one(*groups.popitem())
        else:
            await asyncio.gather(*(one(way, indices) for way, indices in groups.items()))
        return outcomes

    def _way(self, order: Order) -> tuple[str, str]:
        if order.command.type not in {WorkerRun.type, WorkerCancel.type}:
            return "bus", ""
        fence = order.command.data.get("fence")
        attempt = next((one for one in order.job.attempts if one.fence == fence), None)
        action = "submit" if order.command.type == WorkerRun.type else "cancel"
        return action, attempt.provider if attempt else "workers"

    async def _through(self, way: tuple[str, str], orders: list[Order]) -> Outcomes:
        action, name = way
        try:
            if action == "bus":
                return await self._publish(orders)
            provider = chosen(self._providers, name)
            act: Callable[[Sequence[Order]], Awaitable[Outcomes]] = (
                provider.submit if action == "submit" else provider.cancel
            )
            return await act(orders)
        except Unavailable as error:
            return [error] * len(orders)
        except Studio9Error as error:
            if len(orders) == 1:
                return [error]
            return [outcome for order in orders for outcome in await self._through(way, [order])]

    async def _publish(self, orders: list[Order]) -> Outcomes:
        messages: list[Outgoing] = [outgoing_of(order.job, order.command, self._policy) for order in orders]
        return await self._bus.publish_many(messages)
