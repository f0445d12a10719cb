"""Queues that do not answer although their broker does.

A quorum queue of a broker that was killed while the queue was being made can come back without a leader, and never
finds one: consuming from it ends the whole connection with an internal error, for ever (seen with RabbitMQ 3.10.8).
What was in it is lost with its log. Queues only make things fast, stores decide, so such a queue is made anew.
"""

from collections import Counter

from aiormq.exceptions import ChannelClosed

TRIES = 3
"""Consumers in a row that got no answer from a queue before it is made anew; a try takes up to ten seconds."""


class Silence:
    """Counts, by queue, the consumers in a row that got no answer."""

    def __init__(self) -> None:
        self._tries: Counter[str] = Counter()

    def failed(self, queue: str, error: BaseException) -> None:
        """A consumer could not begin on an open channel. A refusal is an answer, too."""
        if isinstance(error, ChannelClosed):
            self._tries.pop(queue, None)
        else:
            self._tries[queue] += 1

    def broken(self, queue: str) -> None:
        """A consumer has begun."""
        self._tries.pop(queue, None)

    def given_up(self, queue: str) -> bool:
        """Whether to make a queue anew; counting begins again."""
        return self._tries[queue] >= TRIES and self._tries.pop(queue) > 0
