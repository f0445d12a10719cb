"""Whether a service lives, and whether it can work.

`GET /health`: its event loop turns (or nothing would be answered) and none of its main tasks has ended. Kubernetes
restarts what says no; so nothing outside the process is asked.
`GET /ready`: what it depends on, each named, with its state and since when. Nothing is restarted for that: it waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from studio9_common.times import Clock, SystemClock, format_time

Check = Callable[[], Awaitable[None]]
CHECK_S = 3.0
"""How long a dependency may take to answer. A probe waits for 5 s."""


class Liveness:
    """The main tasks of a service: each a name, and whether it has ended although nobody stopped it."""

    def __init__(self) -> None:
        self._ended: list[Callable[[], Iterable[str]]] = []

    def watch(self, ended: Callable[[], Iterable[str]]) -> None:
        """`ended` names the main tasks that have ended."""
        self._ended.append(ended)

    def ended(self) -> list[str]:
        """The names of the main tasks that have ended; empty for a service that lives."""
        return [name for ended in self._ended for name in ended()]


@dataclass(frozen=True, slots=True)
class Dependency:
    """What was last seen of a dependency. `since` is when that was seen first. A service works on without one that is
    not `needed`, if less well."""

    name: str
    up: bool
    since: datetime
    needed: bool
    detail: str = ""

    def body(self) -> dict[str, Any]:
        """For an answer."""
        found = {
            "name": self.name,
            "state": "up" if self.up else "down",
            "since": format_time(self.since),
            "needed": self.needed,
        }
        return {**found, "detail": self.detail} if self.detail else found


class Readiness:
    """Asks a service's dependencies, each by a coroutine that raises. `optional` ones do not make it unready."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        optional: Mapping[str, Check] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._needed = dict(checks)
        self._checks = {**checks, **(optional or {})}
        self._clock = clock or SystemClock()
        self._last: dict[str, Dependency] = {}
        self._looking: asyncio.Task[list[Dependency]] | None = None

    @property
    def last(self) -> list[Dependency]:
        """What was seen at the last look."""
        return list(self._last.values())

    async def look(self) -> list[Dependency]:
        """Asks all at once; whoever asks meanwhile gets the same answer."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="readiness")
        return await asyncio.shield(self._looking)

    async def _look(self) -> list[Dependency]:
        return list(await asyncio.gather(*(self._one(name, check) for name, check in self._checks.items())))

    async def _one(self, name: str, check: Check) -> Dependency:
        detail = ""
        try:
            async with asyncio.timeout(CHECK_S):
                await check()
        except TimeoutError:
            detail = f"no answer within {CHECK_S:g} s"
        except Exception as error:
            detail = str(error) or type(error).__name__
        before = self._last.get(name)
        same = before is not None and before.up is not bool(detail)
        since = before.since if before is not None and same else self._clock.now()
        found = self._last[name] = Dependency(name, not detail, since, name in self._needed, detail)
        return found
