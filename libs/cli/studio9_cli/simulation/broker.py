"""The simulated broker: queues, consumers with prefetch, confirms, and everything that can go wrong with them.

As RabbitMQ does, it pushes messages to its consumers up to their prefetch, in turns; what a consumer holds when its
connection ends goes back to the front of the queue.
"""

import asyncio
import fnmatch
import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from studio9_cli.simulation.loop import VirtualLoop
from studio9_cli.simulation.weather import Weather
from studio9_common.bus.port import Outgoing, Queue

if TYPE_CHECKING:
    from studio9_cli.simulation.bus import SimConsumer


@dataclass(eq=False, slots=True)
class Letter:
    """A message in a queue."""

    message: Outgoing
    expires: float
    failures: int = 0
    redelivered: bool = False


@dataclass(eq=False, slots=True)
class Line:
    """A queue: what is ready, and who takes it."""

    spec: Queue
    ready: deque[Letter] = field(default_factory=deque)
    consumers: list["SimConsumer"] = field(default_factory=list)
    turn: int = 0
    gone: bool = False
    idle_since: float = 0.0


class Broker:
    """One for all nodes; `studio9_cli.simulation.bus.SimBus` is a node's connection to it."""

    def __init__(self, loop: VirtualLoop, weather: Weather, rng: random.Random) -> None:
        self.loop, self.weather, self.rng = loop, weather, rng
        self.lines: dict[str, Line] = {}
        self._routes: dict[str, list[Line]] = {}
        """By routing key, for as long as no queue comes or goes."""
        self.dead: list[tuple[str, str, str]] = []
        """(queue, routing key, reason) of dead letters."""

    # --- topology --------------------------------------------------------------------------------------------------

    def declare(self, spec: Queue) -> None:
        line = self.lines.get(spec.name)
        if line is None:
            self._routes.clear()
            self.lines[spec.name] = Line(spec, idle_since=self.loop.now)
            self._expire_later(self.lines[spec.name])
        elif (declared := line.spec.declared(spec)) != line.spec:
            self._routes.clear()
            line.spec = declared

    def delete(self, name: str) -> None:
        line = self.lines.pop(name, None)
        self._routes.clear()
        if line is not None:
            line.gone = True
            for consumer in line.consumers:
                consumer.fail(gone=True)

    def restart(self) -> None:
        """Every connection ends; what is not persistent is lost."""
        self.cut_consumers(None)
        for line in self.lines.values():
            kept = [] if line.spec.transient else [one for one in line.ready if one.message.persistent]
            line.ready = deque(kept)

    def come_back(self) -> None:
        """After an outage: how long a queue was idle counts from now on, as it does when RabbitMQ starts again."""
        for line in self.lines.values():
            if not line.consumers:
                line.idle_since = self.loop.now
                self._expire_later(line)

    def cut_consumers(self, which: str | None) -> None:
        """The connections of a node end (None: all), as both sides see at once."""
        for line in self.lines.values():
            for consumer in [one for one in line.consumers if which in {None, one.node}]:
                self.weather.effects["connections"] += 1
                consumer.fail()
                self.leave(line, consumer)

    def leave(self, line: Line, consumer: "SimConsumer") -> None:
        """A consumer is gone: what it holds goes back."""
        if consumer in line.consumers:
            line.consumers.remove(consumer)
            held = list(consumer.held.values())
            consumer.held.clear()
            consumer.buffer.clear()
            for letter in held:
                letter.redelivered = True
            line.ready.extendleft(reversed(held))
            line.idle_since = self.loop.now
            self._expire_later(line)
            self.push(line)

    def _expire_later(self, line: Line) -> None:
        if line.spec.expires_s is not None:
            self.loop.after(line.spec.expires_s, self._expire, line, line.idle_since)

    def _expire(self, line: Line, since: float) -> None:
        away = "bus" in self.weather.down
        if not away and not line.gone and not line.consumers and line.idle_since == since:
            self.delete(line.spec.name)

    # --- messages --------------------------------------------------------------------------------------------------

    def route(self, message: Outgoing) -> bool:
        """Puts a message into every queue that is bound to its key; False: into none."""
        key = message.routing_key
        lines = self._routes.get(key)
        if lines is None:
            lines = self._routes[key] = [line for line in self.lines.values() if _bound(line.spec.bindings, key)]
        weather, rng = self.weather, self.rng
        for line in lines:
            ttl = min(line.spec.message_ttl_s or math.inf, message.expires_s or math.inf)
            letter = Letter(message, self.loop.now + ttl)
            if weather.delays and weather.strikes("delays", rng):
                self.loop.after(rng.uniform(0, weather.delay_s), self.put, line, letter)
            else:
                self.put(line, letter)
            if weather.duplicates and weather.strikes("duplicates", rng):
                again = Letter(message, letter.expires)
                self.loop.after(rng.choice((0.0, 0.05, 1.0, 40.0)) * rng.random(), self.put, line, again)
        return bool(lines)

    def put(self, line: Line, letter: Letter) -> None:
        if self.weather.reordering and self.weather.strikes("reordering", self.rng):
            self.loop.after(self.rng.random(), self._arrive, line, letter)  # what follows within a second overtakes it
        else:
            self._arrive(line, letter)

    def _arrive(self, line: Line, letter: Letter) -> None:
        if not line.gone:
            line.ready.append(letter)
            self.push(line)

    def push(self, line: Line) -> None:
        """Hands what is ready to consumers that have room."""
        ready = line.ready
        while ready:
            if ready[0].expires <= self.loop.now:
                ready.popleft()
                continue
            taker = self._next(line)
            if taker is None:
                return
            taker.take(ready.popleft())

    def _next(self, line: Line) -> "SimConsumer | None":
        if line.spec.single_active:
            first = line.consumers[0] if line.consumers else None
            return first if first is not None and first.room > 0 else None
        count = len(line.consumers)
        for step in range(count):
            consumer = line.consumers[(line.turn + step) % count]
            if consumer.room > 0:
                line.turn = (line.turn + step + 1) % count
                return consumer
        return None

    def forget(self, queue: str, letter: Letter, reason: str) -> None:
        self.dead.append((queue, letter.message.routing_key, reason))


def _bound(bindings: Sequence[str], key: str) -> bool:
    return any(binding == key or fnmatch.fnmatchcase(key, binding.replace("#", "*")) for binding in bindings)


def future(loop: VirtualLoop) -> "asyncio.Future[None]":
    """A future of the simulation's loop."""
    return loop.create_future()
