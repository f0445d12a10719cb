"""What is put in the place of product parts while a simulation runs: randomness, files, and the costly codecs.

Messages and job documents are frozen values, so handing them over is the same as encoding and decoding them; that
the codecs keep what they are given is tested beside them.
"""

import asyncio
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any

import structlog

import studio9_common.bus.subscriber
import studio9_common.contracts.collections
import studio9_orion.cleaner
import studio9_orion.dispatcher
import studio9_orion.engine
import studio9_orion.jobs
import studio9_orion.rendering
import studio9_orion.reports
import studio9_orion.scheduler.loop
import studio9_orion.store
import studio9_orion.supervisor
import studio9_worker.beats
import studio9_worker.checkpoints
import studio9_worker.children
import studio9_worker.collect
import studio9_worker.context
import studio9_worker.inbox
import studio9_worker.life
import studio9_worker.pump
import studio9_worker.telemetry
from studio9_cli.simulation.attempt import Collector, Staging, patiently, put_output, read_asked
from studio9_cli.simulation.clock import EPOCH_MS
from studio9_cli.simulation.machine import Events, Lines
from studio9_cli.simulation.recorder import Recorder
from studio9_cli.simulation.store import LightItem
from studio9_cli.simulation.timing import Timing
from studio9_common.contracts.messages import Message
from studio9_common.ids import new_id

_SLEEP = asyncio.sleep
Substitute = tuple[Any, str, Any]
"""(object, attribute, what to put there)."""


@dataclass(slots=True)
class LightEnvelope:
    """Stands in for `Envelope`, which is frozen and costs more to make."""

    id: str
    type: str
    source: str
    organisation: str
    time: str
    data: Message
    subject: str | None = None
    traceparent: str | None = None


class Parcel(bytes):
    """A message's body that carries the message itself."""

    envelope: LightEnvelope


@dataclass(slots=True)
class LightOutgoing:
    """Stands in for `Outgoing`."""

    routing_key: str
    body: Parcel
    message_id: str
    mandatory: bool
    persistent: bool
    expires_s: float | None


def light_encode(
    data: Message,
    *,
    source: str,
    organisation: str,
    id: str | None = None,
    traceparent: str | None = None,
    now: datetime | None = None,
    mandatory: bool = False,
    expires_s: float | None = None,
) -> Any:
    """Stands in for `studio9_common.contracts.envelope.encode`."""
    subject = vars(data).get("job")
    parcel = Parcel()
    parcel.envelope = LightEnvelope(id or "", data.type, source, organisation, "", data, subject, traceparent)
    return LightOutgoing(data.route(), parcel, id or "", mandatory, not data.transient, expires_s)


def light_decode(body: bytes) -> LightEnvelope:
    """Stands in for `studio9_common.contracts.envelope.decode`."""
    assert isinstance(body, Parcel)
    return body.envelope


async def light_sleep(delay: float, result: Any = None) -> Any:
    """Stands in for `asyncio.sleep`: nothing takes the timer back, a sleep that was ended is not woken."""
    if delay <= 0:
        return await _SLEEP(0, result)
    loop: Any = asyncio.get_running_loop()
    slept = loop.create_future()
    loop.after(delay, _wake, slept)
    await slept
    return result


async def at_once(work: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Stands in for `asyncio.to_thread`: threads are not simulated."""
    return work(*args, **named)


def module(name: str) -> ModuleType:
    """A module by its name, also where its package has a function of the same name."""
    return sys.modules[name]


def substitutes(
    seed: int,
    timing: Timing,
    on_exception: Callable[[str, BaseException], None],
    on_missing: Callable[[str, str], None],
    decide_all: Callable[..., Any],
) -> list[Substitute]:
    """All that a run replaces."""
    rng = random.Random(f"parts:{seed}")
    recorder = Recorder(on_exception)

    def next_id() -> str:
        return new_id(now_ms=EPOCH_MS, entropy=rng.randbytes(10))

    encoding = (studio9_orion.rendering, studio9_orion.supervisor, studio9_worker.context)
    decoding = (
        studio9_orion.reports,
        studio9_orion.dispatcher,
        studio9_orion.cleaner,
        studio9_orion.scheduler.loop,
        studio9_orion.engine,
        studio9_worker.inbox,
    )
    return [
        *((one, "encode", light_encode) for one in encoding),
        *((one, "decode", light_decode) for one in decoding),
        (asyncio, "sleep", light_sleep),
        (asyncio, "to_thread", at_once),
        (studio9_orion.engine, "LEAD_SHARE", 1.0),
        (studio9_common.contracts.collections, "dump", _same),
        (studio9_common.contracts.collections, "load", _same),
        (studio9_common.contracts.collections, "known", _same),
        (studio9_common.bus.subscriber, "random", rng),
        (studio9_orion.store, "BulkItem", LightItem),
        (studio9_orion.jobs, "BulkItem", LightItem),
        (structlog, "get_logger", lambda *_: recorder),
        (studio9_worker.life, "new_id", next_id),
        (studio9_worker.life, "EventReader", Events),
        (studio9_worker.telemetry, "EventReader", Lines),
        (studio9_worker.telemetry, "now", str),
        (studio9_worker.pump, "EVERY_S", 2.5 * timing.pace),
        (studio9_worker.beats, "SOON_S", timing.pace / 3),
        (studio9_worker.life, "Collector", Collector),
        (studio9_worker.life, "stage", Staging(random.Random(f"staging:{seed}"), on_missing)),
        (studio9_worker.life, "threads_for", lambda *_: 1),
        (studio9_worker.checkpoints, "patiently", patiently),
        (studio9_worker.collect, "patiently", patiently),
        (studio9_worker.checkpoints, "put_output", put_output),
        (studio9_worker.children, "_read", read_asked),
        (studio9_worker.beats, "usage", dict),
        (module("studio9_orion.shell"), "decide_all", decide_all),
    ]


@contextmanager
def replaced(changes: list[Substitute]) -> Iterator[None]:
    """Puts substitutes in, and the originals back."""
    before = [(target, name, getattr(target, name)) for target, name, _ in changes]
    try:
        for target, name, value in changes:
            setattr(target, name, value)
        yield
    finally:
        for target, name, value in reversed(before):
            setattr(target, name, value)


def _wake(slept: "asyncio.Future[None]") -> None:
    if not slept.done():
        slept.set_result(None)


def _same(value: Any, **_: Any) -> Any:
    return value
