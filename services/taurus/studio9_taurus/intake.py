"""Messages about new objects: which pictures they mean, and when they may be deleted.

A message is deleted when each of its pictures is settled: refused, or in a batch whose job is accepted. Until then it
stays hidden; if this process is lost it comes again, and finds what was done. While a stream is switched off its
pictures wait in the queue, however old they are.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC

from studio9_common.errors import Unavailable
from studio9_common.logs import logger
from studio9_common.streams.events import BadEvent, ObjectCreated, read_events
from studio9_common.streams.port import StreamMessage, Streams
from studio9_common.times import Clock, parse_time
from studio9_taurus.batches import Batches
from studio9_taurus.claims import DONE, ClaimStore, Stored, claim_id
from studio9_taurus.gathering import Gatherer, Gathering, Part
from studio9_taurus.settings import TaurusSettings
from studio9_taurus.streams import Active, ActiveStreams

WAIT_S = 1.0
"""Longest wait for a message; gatherings are looked at in between."""
LATER_S = 5
"""When to look again at a message that nothing can be done about now."""


@dataclass(slots=True)
class Held:
    """A received message and the pictures of it that are not settled yet."""

    message: StreamMessage
    received: float
    open: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Counters:
    """What happened to messages and pictures since the start."""

    received: int = 0
    deleted: int = 0
    set_aside: int = 0
    unwanted: int = 0


class Intake:
    """One loop over one queue."""

    def __init__(
        self,
        settings: TaurusSettings,
        *,
        streams: Streams,
        active: ActiveStreams,
        store: ClaimStore,
        gatherer: Gatherer,
        batches: Batches,
        clock: Clock,
    ) -> None:
        self.counters = Counters()
        self._settings, self._streams, self._active = settings, streams, active
        self._store, self._gatherer, self._batches, self._clock = store, gatherer, batches, clock
        self._held: dict[str, Held] = {}
        self._gatherings: dict[tuple[str, str], Gathering] = {}
        self._asked: dict[str, tuple[float, set[str]]] = {}
        self._log = logger("taurus")

    @property
    def waiting(self) -> int:
        """Messages in hand."""
        return len(self._held)

    async def run_forever(self) -> None:
        """Goes on whatever happens; what is down is tried again with a pause."""
        while True:
            try:
                await self.turn()
            except Unavailable as error:
                self._log.warning("dependency_down", reason=error.message)
                await asyncio.sleep(1)
            except Exception:
                self._log.exception("intake_failed")
                await asyncio.sleep(1)

    async def turn(self) -> None:
        """Receives, gathers, closes what is due, follows what was asked for, keeps the rest hidden."""
        settings = self._settings
        for message in await self._streams.receive(
            settings.queue, limit=10, wait_s=WAIT_S, visibility_s=settings.visibility_s
        ):
            self.counters.received += 1
            await self._take(message)
        now = self._clock.monotonic()
        for key, gathering in list(self._gatherings.items()):
            if gathering.due(now, settings.quiet_s):
                del self._gatherings[key]
                await self._close(gathering)
        await self._follow(now)
        await self._keep_hidden(now)

    # --- one message -----------------------------------------------------------------------------------------

    async def _take(self, message: StreamMessage) -> None:
        try:
            notification = read_events(message.body)
        except BadEvent as error:
            await self._bad(message, error)
            return
        held = Held(message, self._clock.monotonic())
        again_s = 0
        for created in notification.created:
            wanting = self._active.wanting(created)
            if not wanting and not self._active.paused(created):
                wanting = await self._look_again(created)
            for stream in wanting:
                await self._part(held, stream, created)
            again_s = max(again_s, self._again_s(created, wanting=bool(wanting)))
        if again_s:
            if message.receive_count == 1:
                self._log.info("picture_waits", id=message.id, keys=[created.key for created in notification.created])
            await self._streams.extend(self._settings.queue, message.receipt, again_s)
        elif held.open:
            self._held[message.id] = held
        else:
            self.counters.unwanted += 1
            keys = [created.key for created in notification.created]
            self._log.info("message_settled", id=message.id, keys=keys, ignored=notification.ignored)
            await self._delete([message])

    async def _part(self, held: Held, stream: Active, created: ObjectCreated) -> None:
        """Adds one picture to its stream's gathering unless it is settled."""
        claim = claim_id(stream.config.stream, created)
        key = (stream.organisation, stream.config.stream)
        gathering = self._gatherings.get(key)
        if gathering is not None and claim in gathering.parts:
            held.open.add(claim)
            return
        found = await self._store.find(claim)
        if found is None:
            free = None
        elif found.state == "refused":
            return
        else:
            state = await self._batches.advance(found.batch)
            if state in DONE:
                return
            if state != "abandoned":
                held.open.add(claim)
                self._asked.setdefault(found.batch, (self._clock.monotonic(), set()))[1].add(claim)
                return
            free = found
        self._gather(key, stream, Part(claim, created, free))
        held.open.add(claim)

    def _gather(self, key: tuple[str, str], stream: Active, part: Part) -> None:
        now = self._clock.monotonic()
        gathering = self._gatherings.setdefault(key, Gathering(stream, now, now))
        gathering.parts[part.claim] = part
        gathering.latest = now

    def _again_s(self, created: ObjectCreated, *, wanting: bool) -> int:
        """When a picture must come again for a stream that does not take it now; 0: it need not."""
        if self._active.paused(created):
            return self._settings.paused_s
        # Perhaps its stream has just been made: it comes again until it is old.
        return LATER_S if not wanting and self._young(created) else 0

    async def _look_again(self, created: ObjectCreated) -> list[Active]:
        """The streams after reading the configuration again, for a picture that none wanted."""
        if not self._young(created):
            return []
        await self._active.refresh()
        return self._active.wanting(created)

    def _young(self, created: ObjectCreated) -> bool:
        try:
            made = parse_time(created.time) if created.time else None
        except ValueError:
            made = None
        now = self._clock.now()
        return made is None or (now - made.astimezone(UTC)).total_seconds() < self._settings.unmatched_s

    async def _bad(self, message: StreamMessage, error: BadEvent) -> None:
        """Left to come again a few times; then set aside in `<queue>-dead`, where somebody can look at it."""
        if message.receive_count < self._settings.bad_receives:
            await self._streams.extend(self._settings.queue, message.receipt, LATER_S)
            return
        self._log.error("message_set_aside", id=message.id, reason=error.message)
        dead = f"{self._settings.queue}-dead"
        await self._streams.ensure_queue(dead)
        await self._streams.send(dead, message.body)
        self.counters.set_aside += 1
        await self._delete([message])

    # --- batches ---------------------------------------------------------------------------------------------

    async def _close(self, gathering: Gathering) -> None:
        """In batches of the stream's size. Whatever goes wrong, no message stays hidden for it: they come again."""
        parts = list(gathering.parts.values())
        size = gathering.stream.config.batch_size
        for start in range(0, len(parts), size):
            try:
                await self._batch(gathering.stream, parts[start : start + size])
            except Exception:
                self._let_go({part.claim for part in parts[start:]})
                raise

    async def _batch(self, stream: Active, parts: Sequence[Part]) -> None:
        batch = await self._gatherer.close(stream, parts)
        if batch is None:
            await self._resettle([part.claim for part in parts])
            return
        self._asked[batch] = (self._clock.monotonic(), {part.claim for part in parts})
        await self._batches.advance(batch)

    async def _follow(self, now: float) -> None:
        """Asks again for what is not accepted yet; settles what is."""
        for batch, (asked, claims) in list(self._asked.items()):
            if now - asked < min(0.5, self._settings.republish_s):
                continue
            found = await self._store.find(batch)
            state = found.state if found else "abandoned"
            if state == "closed" and now - asked < self._settings.republish_s:
                continue
            if state == "closed":
                state = await self._batches.advance(batch)
            if state in DONE:
                del self._asked[batch]
                await self._settle(claims)
            elif state == "abandoned":
                del self._asked[batch]
                self._let_go(claims)
            elif now - asked >= self._settings.republish_s:
                self._asked[batch] = (now, claims)

    async def _resettle(self, claims: Sequence[str]) -> None:
        """After a batch came to nothing: refused pictures are settled, the others' messages come again."""
        found: list[Stored | None] = await self._store.find_many(claims)
        refused = {one.id for one in found if one is not None and one.state == "refused"}
        await self._settle(refused)
        self._let_go(set(claims) - refused)

    async def _settle(self, claims: set[str]) -> None:
        """Deletes the messages of which nothing is open any more."""
        ready = []
        for held in list(self._held.values()):
            if held.open & claims:
                held.open -= claims
                if not held.open:
                    ready.append(held.message)
                    del self._held[held.message.id]
        await self._delete(ready)

    def _let_go(self, claims: set[str]) -> None:
        """No longer hides messages with these pictures: they come again when their time is over."""
        for held in list(self._held.values()):
            if held.open & claims:
                del self._held[held.message.id]

    async def _keep_hidden(self, now: float) -> None:
        """Before a message in hand would come again, hides it for longer."""
        for held in list(self._held.values()):
            if now - held.received > self._settings.visibility_s / 2:
                await self._streams.extend(self._settings.queue, held.message.receipt, self._settings.visibility_s)
                held.received = now

    async def _delete(self, messages: list[StreamMessage]) -> None:
        for start in range(0, len(messages), 10):
            part = messages[start : start + 10]
            await self._streams.delete(self._settings.queue, [message.receipt for message in part])
            self.counters.deleted += len(part)
