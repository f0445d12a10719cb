"""The simulated object storage: what the worker and the cleaner use of the port, content being a hash."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from studio9_cli.simulation.clock import EPOCH
from studio9_cli.simulation.loop import VirtualLoop
from studio9_cli.simulation.weather import Weather
from studio9_common.objects.port import ObjectExists, ObjectInfo, ObjectMissing, ObjectsUnavailable

Answer = TypeVar("Answer")


class Bucket:
    """What all nodes share: key → sha256."""

    def __init__(self, loop: VirtualLoop, weather: Weather) -> None:
        self.loop, self.weather = loop, weather
        self.content: dict[str, str] = {}


class SimObjects:
    """A node's client of the object storage."""

    profile = "simulated"

    def __init__(self, bucket: Bucket, node: str, rng: random.Random) -> None:
        self._bucket, self._node, self._rng = bucket, node, rng

    async def put(
        self, key: str, data: Any, *, content_type: str = "", sha256: str | None = None, metadata: Any = None
    ) -> ObjectInfo:
        digest = sha256 or hashlib.sha256(data).hexdigest()

        def work() -> ObjectInfo:
            if self._bucket.content.setdefault(key, digest) != digest:
                raise ObjectExists(key)
            return _info(key, digest)

        return await self._call(work)

    async def head(self, key: str) -> ObjectInfo:
        def work() -> ObjectInfo:
            if key not in self._bucket.content:
                raise ObjectMissing(key)
            return _info(key, self._bucket.content[key])

        return await self._call(work)

    async def list(self, prefix: str, *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        content = self._bucket.content
        for key in await self._call(lambda: sorted(key for key in content if key.startswith(prefix))):
            yield _info(key, content.get(key, ""))

    async def delete(self, key: str) -> None:
        await self._call(lambda: self._bucket.content.pop(key, None))

    async def delete_prefix(self, prefix: str) -> int:
        content = self._bucket.content

        def work() -> int:
            found = [key for key in content if key.startswith(prefix)]
            for key in found:
                del content[key]
            return len(found)

        return await self._call(work)

    async def _call(self, work: Callable[[], Answer]) -> Answer:
        loop, weather, rng = self._bucket.loop, self._bucket.weather, self._rng
        answer: asyncio.Future[Answer] = loop.create_future()
        reached = weather.reaches(self._node, "objects")
        lost = reached and weather.objects_reply_lost > 0 and weather.strikes("objects_reply_lost", rng)
        delay = rng.uniform(0.005, 0.05) if reached else rng.uniform(0.1, 10.0)
        loop.after(delay, self._arrive, work if reached else None, answer, lost)
        return await answer

    def _arrive(self, work: Callable[[], Answer] | None, answer: "asyncio.Future[Answer]", lost: bool) -> None:
        if work is None or not self._bucket.weather.reaches(self._node, "objects"):
            error: Exception | None = ObjectsUnavailable()
        else:
            try:
                result, error = work(), None
            except (ObjectExists, ObjectMissing) as problem:
                error = problem
            if lost:
                error = ObjectsUnavailable()
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)


def _info(key: str, sha256: str) -> ObjectInfo:
    return ObjectInfo(key=key, size=1, sha256=sha256, content_type="application/octet-stream", modified=EPOCH)
