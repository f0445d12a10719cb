"""Publishes the outbox: with confirms, and again until each message has done its work."""

from datetime import timedelta

from studio9_baile.core import Core
from studio9_common.bus.port import Bus, Outgoing
from studio9_common.errors import Unavailable
from studio9_common.logs import logger

BATCH = 100
LONGEST_WAIT_S = 60.0


class Publisher:
    """The step of the outbox's loop."""

    def __init__(self, core: Core, bus: Bus) -> None:
        self._core, self._bus = core, bus
        self._log = logger("baile")

    async def step(self) -> bool:
        """Publishes what is due; whether there may be more. Raises Unavailable while the bus or database is away.

        A message stays in the outbox until it is settled, and goes out again after `republish_s` seconds, each time
        twice as long: receivers are idempotent by the job.
        """
        async with self._core.database.system(writing=False) as work:
            due = await work.due_messages(BATCH)
        if not due:
            return False
        outcomes = await self._bus.publish_many(
            [Outgoing(row.routing_key, row.body, row.id, mandatory=True) for row in due]
        )
        async with self._core.database.system() as work:
            for row, problem in zip(due, outcomes, strict=True):
                wait = self._core.settings.republish_s
                if problem is None:
                    wait = min(LONGEST_WAIT_S, wait * 2 ** min(row.times, 10))
                else:
                    self._log.warning("not_published", job=row.job, type=row.type, reason=problem.message)
                await work.published([row.id], work.now + timedelta(seconds=wait), confirmed=problem is None)
        if all(isinstance(problem, Unavailable) for problem in outcomes):
            raise Unavailable("the bus took none of the messages")
        return len(due) == BATCH
