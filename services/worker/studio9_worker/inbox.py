"""The worker's own queue and what becomes of each message in it."""

import asyncio
import re
from collections.abc import Sequence

from studio9_common.bus.port import BadMessage, Delivery, Queue
from studio9_common.contracts.envelope import Envelope, decode
from studio9_common.contracts.messages import WorkerCancel, WorkerCommand, WorkerDrain, WorkerLease, WorkerRun
from studio9_common.tracing import following, trace_of
from studio9_worker.agent import Agent

EXPIRES_S = 120
"""A queue without its worker is gone after so long; then commands are unroutable, and Orion hears of it."""

SAFE = re.compile(r"[A-Za-z0-9_-]{1,64}")


def own_queue(worker: str) -> Queue:
    """The queue of one worker. Its commands outlive the broker; leases expire by themselves."""
    keys = tuple(kind.routing_key for kind in (WorkerRun, WorkerCancel, WorkerDrain, WorkerLease))
    return Queue(f"worker.{worker}.v1", tuple(f"{key}.{worker}" for key in keys), expires_s=EXPIRES_S)


class Inbox:
    """Gives each message to the agent; returns once its effect is durable."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Messages about one job in their order, all else at the same time, so that one sync of the disk does for
        many. What was done is acknowledged. Raises Unavailable while the bus is away, BadMessage for what is none."""
        groups: dict[str, list[tuple[Delivery, Envelope]]] = {}
        failed: list[BaseException] = []
        for delivery in deliveries:
            try:
                envelope = decode(delivery.body)
            except BadMessage as error:
                failed.append(error)
            else:
                groups.setdefault(envelope.subject or "", []).append((delivery, envelope))
        if len(groups) == 1 and not failed:
            await self._in_turn(*groups.values())
            return
        outcomes = await asyncio.gather(*map(self._in_turn, groups.values()), return_exceptions=True)
        failed += [outcome for outcome in outcomes if outcome is not None]
        if failed:
            raise failed[0]

    async def _in_turn(self, group: Sequence[tuple[Delivery, Envelope]]) -> None:
        for delivery, envelope in group:
            with following(trace_of(envelope.traceparent)):
                await self._take(envelope)
            await delivery.ack()

    async def _take(self, envelope: Envelope) -> None:
        data = envelope.data
        if not isinstance(data, WorkerCommand) or data.worker != self._agent.context.worker:
            self._agent.context.log.warning("foreign_message", type=envelope.type)
            return
        match data:
            case WorkerRun() | WorkerCancel() if not SAFE.fullmatch(data.job):
                raise BadMessage(f"{data.job!r} cannot be a job's id: it names a folder here")
            case WorkerRun():
                await self._agent.run(data, envelope.organisation, envelope.traceparent)
            case WorkerCancel():
                await self._agent.cancel(data, envelope.organisation)
            case WorkerDrain():
                await self._agent.drain(data)
            case WorkerLease():
                await self._agent.lease(data)
