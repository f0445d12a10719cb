"""Those around Orion: who asks for jobs (as Baile does), and who loads predictions (as Pegasus does)."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studio9_cli.simulation.nodes import Process
from studio9_cli.simulation.plan import ORIONS, Wish
from studio9_cli.simulation.store import SimStore
from studio9_cli.simulation.substitutes import light_decode, light_encode
from studio9_common.bus.port import Delivery, Queue
from studio9_common.bus.subscriber import Subscriber, each
from studio9_common.contracts.collections import JOBS
from studio9_common.contracts.job import TERMINAL, State
from studio9_common.contracts.messages import (
    JobAccepted,
    JobCancel,
    JobCompleted,
    JobEnded,
    JobOutput,
    JobRequested,
    Message,
)
from studio9_common.errors import Studio9Error, Unavailable

if TYPE_CHECKING:
    from studio9_cli.simulation.world import World

EVENTS = Queue("baile.jobs.v1", ("job.accepted", "job.completed", "job.failed", "job.cancelled"))
LOADS = Queue("pegasus.loads.v1", ("job.completed",))
ASK_AGAIN_S, LOOK_S, CANCEL_AGAIN_S, ANSWER_S = 20.0, 60.0, 240.0, 60.0
LATE_SHARE = 0.3
"""Outputs of which an old report comes last."""


class Requester(Process):
    """Asks again until a job is accepted, looks after its jobs every minute, hears of their ends."""

    def __init__(self, world: "World") -> None:
        super().__init__(world, "baile")
        self.accepted: set[str] = set()
        self.told: dict[str, set[str]] = {}
        self.over: set[str] = set()
        self.asked: set[str] = set()
        self._ends: dict[str, asyncio.Event] = {}

    async def _main(self) -> None:
        subscriber = Subscriber(self.bus, EVENTS, self._hear, batch=64)
        await subscriber.start()
        work = [self._ask(wish) for wish in self.world.plan.wishes]
        work += [self._move(wish, *wish.move) for wish in self.world.plan.wishes if wish.move is not None]
        work += [self._cancel(wish) for wish in self.world.plan.wishes if wish.cancel_at is not None]
        tasks = [asyncio.create_task(one) for one in [*work, self._look()]]
        await asyncio.wait(tasks)

    async def _hear(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            data = light_decode(delivery.body).data
            if isinstance(data, JobAccepted):
                self.accepted.add(data.job)
            elif isinstance(data, JobEnded):
                self.told.setdefault(data.job, set()).add(data.state.value)

    async def _ask(self, wish: Wish) -> None:
        await asyncio.sleep(wish.at - self.world.loop.now)
        if wish.retry_of is not None and not await self._ended_badly(wish.retry_of):
            return
        request = JobRequested.model_construct(
            job=wish.id,
            owner="ana",
            project=None,
            spec=wish.spec,
            priority=wish.priority,
            priority_class="cpu",
            parent=wish.parent,
            depends_on=wish.depends_on,
            retried_from=wish.retry_of,
            context={},
        )
        self.asked.add(wish.id)
        await self._request(request, wish)

    async def _request(self, request: JobRequested, wish: Wish) -> None:
        """Asks until the job is accepted."""
        while wish.id not in self.accepted:
            await self._send(request, wish)
            await asyncio.sleep(ASK_AGAIN_S)

    async def _ended_badly(self, job: str) -> bool:
        """Waits for a job's end; whether it has something to be tried again."""
        if job not in self.over:
            await self._ends.setdefault(job, asyncio.Event()).wait()
        ended = self.world.job(job)
        return ended is not None and ended.state is not State.completed

    async def _move(self, wish: Wish, at: float, priority: int) -> None:
        """Asks one Orion after the other, until one has done it."""
        await asyncio.sleep(at - self.world.loop.now)
        while wish.id not in self.over:
            orion = self.world.orions[self.rng.choice(ORIONS)]
            if orion.up:
                moving = self.world.loop.spawn(orion.node, orion.move(wish.id, priority))
                await asyncio.wait([moving], timeout=ANSWER_S)
                if moving.done() and moving.exception() is None and moving.result():
                    self.world.oracle.moved(wish.id, priority)
                    return
            await asyncio.sleep(ASK_AGAIN_S)

    async def _cancel(self, wish: Wish) -> None:
        await asyncio.sleep((wish.cancel_at or 0.0) - self.world.loop.now)
        while wish.id not in self.over:
            if await self._send(JobCancel(job=wish.id, requested_by="ana"), wish):
                self.world.oracle.cancelled(wish.id)
                await asyncio.sleep(CANCEL_AGAIN_S)
            else:
                await asyncio.sleep(5.0)

    async def _send(self, message: Message, wish: Wish) -> bool:
        try:
            sent = light_encode(message, source="baile", organisation=wish.organisation, mandatory=True)
            await self.bus.publish(sent)
            return True
        except Studio9Error:
            return False

    async def _look(self) -> None:
        store: Any = SimStore(self.world.database, self.name, self.rng)
        while True:
            await asyncio.sleep(LOOK_S)
            ids = sorted(self.asked - self.over)
            try:
                found = await store.get_many(JOBS.name, ids)
            except Unavailable:
                continue
            for id, document in zip(ids, found, strict=True):
                if document is None:
                    if id in self.accepted:
                        self.world.oracle.problem("lost", "was accepted, but is not in the store", id)
                elif document.body["job"].state in TERMINAL:
                    self.over.add(id)
                    if id in self._ends:
                        self._ends[id].set()


class Warehouse(Process):
    """Loads each completed prediction once, and says so."""

    def __init__(self, world: "World") -> None:
        super().__init__(world, "pegasus")
        self.loaded: dict[str, set[str]] = {}

    async def _main(self) -> None:
        await Subscriber(self.bus, LOADS, each(self._load), batch=8).start()

    async def _load(self, delivery: Delivery) -> None:
        envelope = light_decode(delivery.body)
        data = envelope.data
        if not isinstance(data, JobCompleted) or data.kind != "predict":
            return
        manifest = data.manifest.sha256 if data.manifest else ""
        if manifest not in self.loaded.get(data.job, ()):
            await self._tell(data.job, "loading", manifest, envelope.organisation)
            await asyncio.sleep(self.rng.uniform(0.5, 10.0))
            self.loaded.setdefault(data.job, set()).add(manifest)
        await self._tell(data.job, "loaded", manifest, envelope.organisation)
        if self.rng.random() < LATE_SHARE:  # what another loader had told before, and was held up on its way
            await self._tell(data.job, "loading", manifest, envelope.organisation)

    async def _tell(self, job: str, state: Any, manifest: str, organisation: str) -> None:
        report = JobOutput(job=job, output="predictions", state=state, rows=1, manifest_sha256=manifest)
        await self.bus.publish(light_encode(report, source="pegasus", organisation=organisation, mandatory=True))
