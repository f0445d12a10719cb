"""What Baile is to the platform: asks until it is accepted, hears `job.*`, and looks at its jobs in the store."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from studio9_cli.chaos.plan import Wish
from studio9_common.bus.port import Bus, Delivery, Queue
from studio9_common.bus.subscriber import Subscriber
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import TERMINAL, Job, Phase, Requirements, Spec
from studio9_common.contracts.messages import JobCancel, JobEnded, JobEvent, JobRequested, Message
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id
from studio9_common.objects.local import LocalObjects
from studio9_common.tasks import end

QUEUE = Queue("chaos.jobs.v1", ("job.accepted", "job.completed", "job.failed", "job.cancelled"))
PROBE = "probe"
"""The organisation of the jobs by which recovery is measured."""
AGAIN_S, LOOK_S = 3.0, 1.5


@dataclass(frozen=True, slots=True)
class Heard:
    """A `job.*` message: its routing key, and of a terminal event what it says."""

    key: str
    at: float
    state: str = ""
    fence: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A job that was asked for. Times are `time.time()`."""

    id: str
    organisation: str
    at: float
    wish: Wish
    parent: str | None = None
    depends_on: tuple[str, ...] = ()


class Asker:
    """See the module's docstring. `seen` holds each job as it was last read, `odd` what changed that may not."""

    def __init__(self, bus: Bus, aries: AriesClient, objects: LocalObjects) -> None:
        self._bus, self._aries, self._objects = bus, aries, objects
        self.asked: dict[str, Asked] = {}
        self.heard: dict[str, list[Heard]] = defaultdict(list)
        self.seen: dict[str, Job] = {}
        self.cancels: dict[str, float] = {}
        self.odd: list[tuple[str, str]] = []
        self._news = asyncio.Condition()
        self._subscriber = Subscriber(bus, QUEUE, self._hear, batch=64)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._subscriber.start()
        self.begin(self._look())

    async def stop(self) -> None:
        await end(*self._tasks)
        await self._subscriber.stop()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Does it beside everything else, until the end."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- asking -----------------------------------------------------------------------------------------------------

    async def submit(
        self, wish: Wish, *, parent: str | None = None, depends_on: tuple[str, ...] = (), urgent: bool = False
    ) -> Asked:
        """Asks for a job and goes on asking until it is accepted; returns before that. Its scratch holds one object."""
        job = new_id()
        asked = self.asked[job] = Asked(job, wish.organisation, time.time(), wish, parent, depends_on)
        await self._objects.put(f"{wish.organisation}/scratch/{job}/input.txt", b"left over")
        message = JobRequested(
            job=job,
            owner="ana",
            spec=Spec(
                kind="train",
                parameters={"epochs": wish.epochs, "epoch_s": wish.epoch_s, "ending": wish.ending},
                requirements=Requirements(cpus=1.0),
            ),
            priority_class="gpu-training" if urgent else "cpu",
            parent=parent,
            depends_on=depends_on,
        )
        self.begin(self._ask(message, wish.organisation))
        if wish.cancel_s is not None:
            self.begin(self._cancel(asked, wish.cancel_s))
        return asked

    def cancel(self, job: str) -> None:
        """Asks to cancel a job, again and again until the store shows that it was heard."""
        self.begin(self._cancel(self.asked[job], 0.0))

    async def _ask(self, message: JobRequested, organisation: str) -> None:
        while message.job not in self.heard and message.job not in self.seen:
            sent = await self._send(message, organisation)
            await asyncio.sleep(AGAIN_S if sent else 0.3)

    async def _cancel(self, asked: Asked, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while not self.over(asked.id):
            if await self._send(JobCancel(job=asked.id, requested_by="ana"), asked.organisation):
                self.cancels.setdefault(asked.id, time.time())
                found = self.seen.get(asked.id)
                if found is not None and found.cancel_requested_at is not None:
                    return
                await asyncio.sleep(AGAIN_S)
            await asyncio.sleep(0.3)

    async def _send(self, message: Message, organisation: str) -> bool:
        try:
            await self._bus.publish(encode(message, source="baile", organisation=organisation, mandatory=True))
        except Studio9Error:
            return False
        return True

    # --- hearing and looking ----------------------------------------------------------------------------------------

    def over(self, job: str) -> bool:
        """Whether its end was heard or seen."""
        found = self.seen.get(job)
        return (found is not None and found.state in TERMINAL) or any(one.state for one in self.heard.get(job, ()))

    def through(self, job: str) -> bool:
        """Whether it was seen to be cleaned up, and all about it said."""
        found = self.seen.get(job)
        return found is not None and found.phase is Phase.clean and not found.outbox

    async def ended(self, job: str, within_s: float) -> float | None:
        """When its end was heard or seen, in `time.time()`; None if it was not in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(lambda: self.over(job))
                return time.time()
        return None

    async def _hear(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            data = decode(delivery.body).data
            if isinstance(data, JobEvent):
                heard = Heard(data.routing_key, time.time())
                if isinstance(data, JobEnded):
                    code = data.reason.code if data.reason else ""
                    heard = Heard(data.routing_key, heard.at, data.state.value, data.fence, code)
                self.heard[data.job].append(heard)
        async with self._news:
            self._news.notify_all()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(Studio9Error):
                await self.read()

    async def read(self, *, everything: bool = False) -> None:
        """Reads the jobs that are not over, or all, in one multi-get. Raises Unavailable."""
        wanted = [id for id in self.asked if everything or not self.through(id)]
        for id, found in zip(wanted, await self._aries.get_jobs(wanted), strict=True):
            if found is None:
                if id in self.seen:
                    self.odd.append((id, "was in the store, and is not any more"))
                continue
            before, after = self.seen.get(id), found[0]
            if before is not None:
                self.odd += [(id, what) for what in changed_wrongly(before, after)]
            self.seen[id] = after
        async with self._news:
            self._news.notify_all()


def changed_wrongly(before: Job, after: Job) -> list[str]:
    """What no later state of a job may show."""
    found = []
    if before.state in TERMINAL and (after.state is not before.state or after.ended_at != before.ended_at):
        found.append(f"was {before.state} and became {after.state}")
    if before.result is not None and after.result != before.result:
        found.append("has another result now")
    if after.fence < before.fence:
        found.append(f"its fence went from {before.fence} back to {after.fence}")
    return found
