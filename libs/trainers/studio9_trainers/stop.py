"""Being told to stop: SIGTERM sets a flag that loops look at between batches."""

import signal

from studio9_trainers.errors import Stopped


class StopFlag:
    """Whether the task should end."""

    def __init__(self) -> None:
        self.wanted = False

    def listen(self) -> None:
        """Set the flag on SIGTERM and SIGINT instead of dying in mid-write."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._told)

    def check(self) -> None:
        """Raise Stopped once the task should end."""
        if self.wanted:
            raise Stopped

    def _told(self, *_: object) -> None:
        self.wanted = True
