"""Progress of a task that goes through pictures, told at most once a second."""

import time

from studio9_task.report import EventWriter


class PictureCount:
    """Counts pictures and tells how far it is."""

    def __init__(self, events: EventWriter, total: int) -> None:
        self._events = events
        self._total = max(total, 1)
        self._done = 0
        self._began = self._told = time.monotonic()

    def one_more(self) -> None:
        """A picture is done."""
        self._done += 1
        present = time.monotonic()
        if present - self._told >= 1 or self._done == self._total:
            self._told = present
            part = self._done / self._total
            self._events.progress(part, remaining_s=(present - self._began) * (1 - part) / part)
