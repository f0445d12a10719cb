"""A user's stream of server-sent events, which can be resumed after any of them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.usecases import signing_in
from studio9_common.errors import Unauthenticated, Unavailable

BATCH = 100
"""Events that are held in memory for one stream."""
KEEP_ALIVE_S = 15.0
CHECK_S = 5.0
"""How soon a stream ends after its token has."""

RESET = "reset"
"""What follows is not what came next: events were forgotten meanwhile; read again what is shown."""


@dataclass(frozen=True, slots=True)
class Told:
    """One server-sent event. Without a type it only tells the client where it stands."""

    number: int
    type: str | None = None
    data: Any = None

    def encode(self) -> str:
        """Its lines (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
        if self.type is None:
            return f"id: {self.number}\n\n"
        return f"id: {self.number}\nevent: {self.type}\ndata: {json.dumps(self.data, separators=(',', ':'))}\n\n"


async def follow(
    core: Core,
    caller: Caller,
    token: str,
    after: int | None,
    *,
    keep_alive_s: float = KEEP_ALIVE_S,
    check_s: float = CHECK_S,
) -> AsyncGenerator[Told | None, None]:
    """The events after a number (None: from now on), as they come; None when there was nothing to tell for a while.

    It ends when the token has ended, when Baile stops, and while the database is away: the client then comes again
    with the number of the last event that it has got, and misses none.
    """
    monotonic = core.clock.monotonic
    checked = told = monotonic()
    try:
        with core.watch.listening(caller.organisation, caller.user):
            start = await asyncio.shield(_start(core, caller, after))
            yield start
            number = start.number
            while not core.watch.closed:
                # A client that leaves cuts the stream anywhere, but not a transaction.
                events, number = await asyncio.shield(_read(core, caller, number))
                for event in events:
                    yield event
                    told = monotonic()
                if monotonic() - checked >= check_s:
                    await asyncio.shield(signing_in.caller_of(core, token))
                    checked = monotonic()
                if monotonic() - told >= keep_alive_s:
                    yield None
                    told = monotonic()
                if len(events) < BATCH:
                    await core.watch.wait(caller.organisation, number, min(check_s, keep_alive_s))
    except (Unauthenticated, Unavailable):
        return


async def _start(core: Core, caller: Caller, after: int | None) -> Told:
    """Where the stream begins; a number that cannot be gone on from is answered with where it can."""
    async with core.database.read(caller.organisation) as work:
        last = await work.events.next_number() - 1
        if after is None:
            return Told(last)
        first = await work.events.first_number() or last + 1
    if after > last:
        return Told(last, RESET, {})
    if after + 1 < first:
        return Told(first - 1, RESET, {})
    return Told(after)


async def _read(core: Core, caller: Caller, after: int) -> tuple[list[Told], int]:
    """The next events for this user, and the number up to which that is all of them."""
    async with core.database.read(caller.organisation) as work:
        # Numbers are given in the order of commits: all below this one can be read by now.
        last = await work.events.next_number() - 1
        rows = await work.events.after(after, caller.user, BATCH)
    events = [Told(row.number, row.type, row.data) for row in rows]
    if len(rows) == BATCH:
        return events, rows[-1].number
    return events, max(last, rows[-1].number if rows else after)
