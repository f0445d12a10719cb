"""Composition of Orion without its HTTP side: everything that works on the ports. The simulation runs exactly this."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from studio9_common.bus.port import Bus, BusUnavailable, Delivery, Outgoing, Queue, QueueGone
from studio9_common.bus.subscriber import Handler, Subscriber
from studio9_common.contracts.envelope import BadEnvelope, decode
from studio9_common.errors import Unavailable
from studio9_common.ids import is_id, new_id
from studio9_common.objects.port import Objects
from studio9_common.times import Clock
from studio9_orion import queues
from studio9_orion.beats import Beats
from studio9_orion.cleaner import FULL, Cleaner
from studio9_orion.core.events import DeadLettered
from studio9_orion.dispatcher import Dispatcher
from studio9_orion.hearing import Hearing
from studio9_orion.jobs import Jobs
from studio9_orion.observing import Observer, Unobserved
from studio9_orion.orphans import OrphanSweeper
from studio9_orion.providers.port import Provider
from studio9_orion.providers.workers import WorkersProvider
from studio9_orion.rendering import scheduler_call
from studio9_orion.scheduler.leader import Leader
from studio9_orion.scheduler.loop import Scheduler
from studio9_orion.scheduler.rules import Rules
from studio9_orion.sender import Sender
from studio9_orion.settings import OrionSettings
from studio9_orion.shell import Shell
from studio9_orion.store import Store
from studio9_orion.supervisor import Supervisor
from studio9_orion.sweeper import Sweeper
from studio9_orion.telemetry import Telemetry
from studio9_orion.ticker import Ticker
from studio9_orion.workers import Workers

_ECHO = Outgoing("orion.echo", b"{}", "echo", mandatory=False, persistent=False)
"""What nobody listens to: that the broker confirms it says that workers can send their beats."""


LEAD_SHARE = 0.4
"""Ticks between two calls to the scheduler that leads: one that was killed is replaced after so long."""

STOP_LIMIT_S = 3.0
"""How long a handler may go on after a stop: it may be waiting for an Aries that is away, and the outboxes, which are
cleared once more after it, must do with what is left of 10 s."""


class Engine:
    """Orion over its ports. Its parts are attributes, so that a test can call them without their loops."""

    def __init__(
        self,
        settings: OrionSettings,
        bus: Bus,
        store: Store,
        objects: Objects,
        clock: Clock,
        observer: Observer | None = None,
    ) -> None:
        observer = observer or Unobserved()
        policy = settings.policy
        name = settings.name or new_id()
        self._bus, self._name = bus, name
        jobs, beats, workers = Jobs(store), Beats(store), Workers(store)
        providers: dict[str, Provider] = {"workers": WorkersProvider(bus, beats, workers, clock, policy)}
        self.shell = Shell(jobs, Sender(bus, providers, policy), clock, policy, observer)
        leader = Leader(store, clock, name=name, stale_s=2 * settings.tick_s)
        self.rules = Rules(limit=settings.organisation_limit)
        self.scheduler = Scheduler(
            self.shell,
            workers,
            leader,
            rules=lambda: self.rules,
            call=self._call_scheduler,
            full_read_s=settings.full_read_s,
            tick_s=settings.tick_s,
        )
        self.shell.watch(self.scheduler.stepped)
        self.dispatcher = Dispatcher(self.shell, self.scheduler)
        self.supervisor = Supervisor(self.shell, bus, beats, workers, self.scheduler.notice)
        self.telemetry = Telemetry(store, jobs)
        self.cleaner = Cleaner(self.shell, objects, beats)
        self.shell.keep(self.cleaner.take, self.cleaner.holds)
        self.orphans = OrphanSweeper(self.shell, self.cleaner, name=name)
        hearing = Hearing(store, clock, name=name, lease_s=policy.lease_s, can_hear=self.can_hear)
        self.sweeper = Sweeper(self.shell, beats, hearing)

        self._beats = self._subscriber(queues.BEATS, self.supervisor.handle_beats, settings.batch)
        self._subscribers = [
            self._subscriber(queues.REQUESTS, self.dispatcher.handle, settings.batch),
            self._subscriber(queues.RESULTS, self.supervisor.handle_results, settings.batch),
            self._beats,
            self._subscriber(queues.TELEMETRY, self.telemetry.handle, settings.batch),
            self._subscriber(queues.CLEAN, self.cleaner.handle, FULL),
            self._subscriber(queues.SCHEDULE, self.scheduler.handle, settings.batch),
        ]
        self._tickers = [
            Ticker("deadlines", settings.tick_s, self.sweeper.sweep, observer.ticked),
            Ticker("schedule", settings.tick_s, self.scheduler.tick, observer.ticked),
            Ticker("lead", LEAD_SHARE * settings.tick_s, self.scheduler.call_upon, observer.ticked),
            Ticker("orphans", settings.orphan_tick_s, self.orphans.sweep, observer.ticked),
        ]
        self._heard = 0

    @property
    def subscribers(self) -> Sequence[Subscriber]:
        """The loops over its queues."""
        return self._subscribers

    async def consuming(self) -> None:
        """Raises Unavailable, naming the queues that are not consumed now: a request would wait, or find no queue."""
        idle = [one.queue.name for one in self._subscribers if not one.healthy]
        if idle:
            raise Unavailable(f"not consumed: {', '.join(idle)}")

    def ended(self) -> list[str]:
        """The names of the main tasks that have ended although nobody stopped them."""
        queues_ = [one.queue.name for one in self._subscribers if one.ended]
        return queues_ + [ticker.name for ticker in self._tickers if ticker.ended]

    async def start(self) -> None:
        """Declares the queues and begins to work; what is down is waited for by each loop."""
        self.shell.start()
        self.scheduler.start()
        self.supervisor.start()
        self.cleaner.start()
        for subscriber in self._subscribers:
            await subscriber.start()
        for ticker in self._tickers:
            ticker.start()

    async def stop(self) -> None:
        """Lets running handlers end and gives the rest back; what is still to be published is in the outboxes."""
        for ticker in self._tickers:
            await ticker.stop()
        await asyncio.gather(*(subscriber.stop() for subscriber in self._subscribers))
        await self.scheduler.stop()
        await self.supervisor.stop()
        await self.cleaner.stop()
        await self.shell.stop()

    async def can_hear(self) -> bool:
        """Whether beats reach this Orion now: it is connected, the broker takes messages (one with a full disk
        delivers, but takes none), and what has arrived is being handled."""
        heard, self._heard = self._heard, self.supervisor.heard
        if not self._beats.healthy:
            return False
        try:
            await self._bus.publish(_ECHO)
            return self.supervisor.heard > heard or await self._bus.depth(queues.BEATS.name) == 0
        except (BusUnavailable, QueueGone):
            return False

    async def tell_removed(self, worker: str) -> None:
        """Tells whoever schedules that a worker was removed; what is lost is found in the store at the next tick."""
        with suppress(BusUnavailable):
            await self._bus.publish(scheduler_call(self._name, removed=worker))

    async def _call_scheduler(self, queued: Sequence[str] = (), ended: Sequence[str] = ()) -> None:
        await self._bus.publish(scheduler_call(self._name, queued=queued, ended=ended))

    def _subscriber(self, queue: Queue, handler: Handler, batch: int) -> Subscriber:
        return Subscriber(
            self._bus,
            queue,
            handler,
            batch=batch,
            prefetch=2 * batch,
            on_dead_letter=self._on_dead_letter,
            stop_limit_s=STOP_LIMIT_S,
        )

    async def _on_dead_letter(self, delivery: Delivery, why: str) -> None:
        """A message about a job that is given up is recorded on that job."""
        try:
            envelope = decode(delivery.body)
        except BadEnvelope:
            return
        if envelope.subject is not None and is_id(envelope.subject):
            await self.shell.apply([(envelope.subject, DeadLettered(type=envelope.type, why=why))])
