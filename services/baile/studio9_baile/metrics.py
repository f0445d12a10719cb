"""Baile's metrics: requests for jobs that Orion has not accepted yet, read from the outbox at every scrape."""

from collections.abc import Iterable

from studio9_baile.database import Database
from studio9_common.metrics import Metrics, Sample


def measure_outbox(metrics: Metrics, database: Database) -> None:
    """How many there are and how old the oldest is; nothing while the database is away."""
    waiting: list[tuple[int, float]] = []

    async def refresh() -> None:
        waiting.clear()
        async with database.system(writing=False) as work:
            count, since = await work.unaccepted_requests()
            waiting.append((count, max(0.0, (work.now - since).total_seconds()) if since else 0.0))

    def read(part: int) -> Iterable[Sample]:
        return [((), float(one[part])) for one in waiting]

    metrics.read_gauge(
        "studio9_requests_unaccepted", "Requests for jobs that Orion has not accepted yet.", (), lambda: read(0)
    )
    metrics.read_gauge("studio9_requests_unaccepted_age_seconds", "How old the oldest of them is.", (), lambda: read(1))
    metrics.refresh(refresh)
