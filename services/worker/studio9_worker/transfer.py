"""Bytes to and from the object storage: patience while it is away, several at once, a file as it was opened."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from studio9_common.errors import Unavailable

Answer = TypeVar("Answer")


async def patiently(call: Callable[[], Awaitable[Answer]], patience_s: float) -> Answer:
    """Repeats what fails with Unavailable, with back-off up to 15 s; the last error is raised after `patience_s`."""
    with suppress(Unavailable):  # nearly always enough, and the retrying itself costs as much as a small file
        return await call()
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_delay(patience_s),
        wait=wait_random_exponential(multiplier=0.2, max=15),
        reraise=True,
    )

    async def once() -> Answer:
        return await call()

    return await retrying(once)


async def gathered(calls: Iterable[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """All answers in their order; the first call that fails ends the others, and its error is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return [task.result() for task in tasks]


async def chunks(file: BinaryIO, size: int = 1 << 20) -> AsyncIterator[bytes]:
    """The content of an open file, read in threads; the file stays the caller's to close."""
    while chunk := await asyncio.to_thread(file.read, size):
        yield chunk
