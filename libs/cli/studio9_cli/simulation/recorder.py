"""The logger of simulated nodes: says nothing, but an exception that nobody expected is a finding."""

import sys
from collections.abc import Callable
from typing import Any

OnException = Callable[[str, BaseException], None]


class Recorder:
    """Takes every call of a bound logger."""

    def __init__(self, on_exception: OnException) -> None:
        self._on_exception = on_exception

    def bind(self, **_: Any) -> "Recorder":
        return self

    def exception(self, event: str, **_: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            self._on_exception(event, error)

    def debug(self, event: str, **_: Any) -> None:
        """Nothing."""

    info = warning = error = debug
