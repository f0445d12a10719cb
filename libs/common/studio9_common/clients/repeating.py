"""Repeats what failed because a service could not be reached, telling the caller that an earlier try is in doubt."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from studio9_common.errors import Unavailable

Result = TypeVar("Result")


async def repeat(attempt: Callable[[bool], Awaitable[Result]], *, retry_s: float) -> Result:
    """The result of `attempt(doubt)`, repeated on Unavailable with back-off for `retry_s` seconds.

    `doubt` is True from the second try on: the first may have done its work and only its answer was lost.
    """
    result: Result
    async for trial in AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_delay(retry_s),
        wait=wait_random_exponential(multiplier=0.1, max=2),
        reraise=True,
    ):
        with trial:
            result = await attempt(trial.retry_state.attempt_number > 1)
    return result
