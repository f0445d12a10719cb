"""The worker's metrics: its slots, and the attempts that are here."""

from collections import Counter
from collections.abc import Callable, Iterable

from studio9_common.metrics import Metrics, Sample
from studio9_worker.agent import Agent


def measure_worker(metrics: Metrics, agent: Callable[[], Agent | None]) -> None:
    """Read at every scrape; nothing before the worker has started."""

    def slots() -> Iterable[Sample]:
        running = agent()
        if running is None:
            return []
        shown = running.slots.occupied(running.occupied())
        counts = Counter((slot.kind, "busy" if slot.job else "free") for slot in shown)
        return list(counts.items())

    def attempts() -> Iterable[Sample]:
        running = agent()
        counts = Counter(life.record.phase for life in running.lives) if running else Counter[str]()
        return [((phase,), count) for phase, count in counts.items()]

    def draining() -> Iterable[Sample]:
        running = agent()
        return [] if running is None else [((), float(running.draining))]

    metrics.read_gauge("studio9_worker_slots", "Slots of this worker.", ("kind", "use"), slots)
    metrics.read_gauge(
        "studio9_worker_attempts", "Attempts by phase; ended: the result waits to be confirmed.", ("phase",), attempts
    )
    metrics.read_gauge("studio9_worker_draining", "Whether it takes no new job.", (), draining)
