"""The nodes' clocks. Wall clocks may be wrong; the clock that leases count on only stops with nothing."""

from datetime import UTC, datetime, timedelta

from studio9_cli.simulation.loop import VirtualLoop

EPOCH = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
"""When every run begins."""
EPOCH_MS = int(EPOCH.timestamp() * 1000)


class NodeClock:
    """See `studio9_common.times.Clock`. `skew_s` is added to the wall clock."""

    def __init__(self, loop: VirtualLoop, skew_s: float = 0.0) -> None:
        self._loop = loop
        self.skew_s = skew_s
        self.misled = 0
        """How often somebody was told a wrong time."""
        self._told = 0.0, EPOCH

    def now(self) -> datetime:
        if self.skew_s:
            self.misled += 1
        seconds = self._loop.now + self.skew_s
        if self._told[0] != seconds:  # it is asked for many times in one moment
            self._told = seconds, EPOCH + timedelta(seconds=seconds)
        return self._told[1]

    def monotonic(self) -> float:
        return self._loop.now
