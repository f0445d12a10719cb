"""What Orion does, told to whoever watches: metrics and traces. It decides nothing and may not fail."""

from typing import Protocol

from studio9_common.contracts.job import Job


class Observer(Protocol):
    """Called on the event loop: it must be quick."""

    def stepped(self, job: Job, after: int) -> None:
        """The job's life-cycle events with a number above `after` are durable, by this Orion's doing."""

    def ticked(self, name: str, seconds: float, result: object, done: bool) -> None:
        """A ticker's work took so long; it was done with this result, or it failed."""


class Observers:
    """Several of them, in turn."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def stepped(self, job: Job, after: int) -> None:
        for one in self._observers:
            one.stepped(job, after)

    def ticked(self, name: str, seconds: float, result: object, done: bool) -> None:
        for one in self._observers:
            one.ticked(name, seconds, result, done)


class Unobserved:
    """Watches nothing."""

    def stepped(self, job: Job, after: int) -> None:
        return

    def ticked(self, name: str, seconds: float, result: object, done: bool) -> None:
        return
