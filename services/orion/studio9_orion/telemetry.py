"""Progress, metrics and logs: append-only documents, written in bulk, no part of any decision."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from studio9_common.bus.port import Delivery
from studio9_common.contracts.collections import TELEMETRY
from studio9_common.contracts.messages import WorkerTelemetry
from studio9_orion.jobs import Jobs
from studio9_orion.reports import report_of
from studio9_orion.store import Store, put_many

REMEMBERED = 10_000


class Telemetry:
    """The handler of `orion.telemetry.v1`. A batch that comes twice is the same documents again."""

    def __init__(self, store: Store, jobs: Jobs) -> None:
        self._store, self._jobs = store, jobs
        self._organisations: OrderedDict[str, str] = OrderedDict()

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Raises Unavailable while the store is away, BadMessage for what can never be read."""
        await self.take([report_of(delivery, WorkerTelemetry) for delivery in deliveries])

    async def take(self, batches: Sequence[WorkerTelemetry]) -> None:
        """Stores what belongs to a known job under that job's organisation; the rest is dropped."""
        unknown = {batch.job for batch in batches} - set(self._organisations)
        for id, found in (await self._jobs.load_many(unknown)).items():
            self._organisations[id] = found.job.organisation
        while len(self._organisations) > REMEMBERED:
            self._organisations.popitem(last=False)
        kept = [batch for batch in batches if self._organisations.get(batch.job) == batch.organisation]
        await put_many(self._store, TELEMETRY.name, [(_id(batch), _document(batch)) for batch in kept])


def _id(batch: WorkerTelemetry) -> str:
    return f"{batch.job}:{batch.fence}:{batch.sequence}"


def _document(batch: WorkerTelemetry) -> dict[str, Any]:
    body: dict[str, Any] = {
        "organisation": batch.organisation,
        "job": batch.job,
        "fence": batch.fence,
        "sequence": batch.sequence,
        "items": [item.model_dump(mode="json", exclude_none=True) for item in batch.items],
    }
    if batch.items:
        body["time"] = batch.items[0].time
    return body
