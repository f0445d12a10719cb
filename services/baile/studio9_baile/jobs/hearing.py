"""Handles what Orion tells about jobs. A handler only writes down what it hears; the work is done elsewhere."""

from collections import defaultdict
from collections.abc import Sequence

from studio9_baile.bell import RESULTS
from studio9_baile.core import Core
from studio9_baile.jobs.news import apply, apply_progress, of_message
from studio9_baile.jobs.streams import process_of
from studio9_baile.jobs.telling import tell
from studio9_baile.repositories.work import Work
from studio9_common.bus.port import Delivery, Queue
from studio9_common.contracts.envelope import Envelope, decode
from studio9_common.contracts.job import OUTPUT_ORDER
from studio9_common.contracts.messages import (
    JobAccepted,
    JobCancel,
    JobCancelled,
    JobCompleted,
    JobEnded,
    JobEvent,
    JobFailed,
    JobOutput,
    JobProgress,
    JobQueued,
    JobRequested,
    JobStarted,
    Message,
)
from studio9_common.logs import logger
from studio9_common.tracing import Tracer

JOBS_QUEUE = Queue(
    "baile.jobs.v1",
    tuple(
        kind.routing_key
        for kind in (JobAccepted, JobQueued, JobStarted, JobCompleted, JobFailed, JobCancelled, JobOutput)
    ),
)

PROGRESS_QUEUE = Queue(
    "baile.progress.v1", (JobProgress.routing_key,), transient=True, expires_s=3600, message_ttl_s=30
)


class Hearing:
    """The handlers of both queues. Both may hear the same twice and in any order."""

    def __init__(self, core: Core, tracer: Tracer | None = None) -> None:
        self._core, self._tracer = core, tracer or Tracer()
        self._log = logger("baile")

    async def jobs(self, deliveries: Sequence[Delivery]) -> None:
        """Writes down states, ends and outputs. Raises Unavailable, BadEnvelope."""
        for organisation, envelopes in _by_organisation(deliveries).items():
            async with self._core.database.write(organisation) as work:
                for envelope in envelopes:
                    with self._tracer.handling(envelope.data.routing_key, envelope.traceparent):
                        await self._hear(work, envelope)

    async def _hear(self, work: Work, envelope: Envelope) -> None:
        await _hear(work, envelope.data)
        data = envelope.data
        if isinstance(data, JobEnded):
            self._log.info("job_end_heard", job=data.job, organisation=envelope.organisation, state=data.state.value)

    async def progress(self, deliveries: Sequence[Delivery]) -> None:
        """Writes down progress: per job the newest of each epoch. Raises Unavailable, BadEnvelope."""
        for organisation, envelopes in _by_organisation(deliveries).items():
            newest: dict[tuple[str, int | None], JobProgress] = {}
            for envelope in envelopes:
                if isinstance(envelope.data, JobProgress):
                    newest[envelope.data.job, envelope.data.epoch] = envelope.data
            async with self._core.database.write(organisation) as work:
                parents = set[str]()
                for data in newest.values():
                    process = await work.processes.find(data.job, lock=True)
                    if process is not None and apply_progress(process, data):
                        tell(work, process)
                    elif process is None and data.parent is not None:
                        parents.add(data.parent)
                for parent in sorted(parents):
                    await _tell_of_child(work, parent)


def _by_organisation(deliveries: Sequence[Delivery]) -> dict[str, list[Envelope]]:
    """The envelopes by organisation, those of one job together: everybody locks processes in the order of their ids."""
    found: defaultdict[str, list[Envelope]] = defaultdict(list)
    for delivery in deliveries:
        envelope = decode(delivery.body)
        found[envelope.organisation].append(envelope)
    return {name: sorted(found[name], key=lambda envelope: envelope.subject or "") for name in sorted(found)}


async def _hear(work: Work, data: Message) -> None:
    if isinstance(data, JobOutput):
        await _output(work, data)
    if not isinstance(data, JobEvent):
        return
    process = await work.processes.find(data.job, lock=True) or await process_of(
        work, data.job, data.kind, data.context
    )
    if process is None:
        if data.parent is not None:
            await _tell_of_child(work, data.parent)
        return
    await work.outbox.settle(data.job, work.now, JobRequested.type)
    if isinstance(data, JobEnded):
        await work.outbox.settle(data.job, work.now, JobCancel.type)
    news = of_message(data)
    if news is not None and apply(process, news):
        tell(work, process)
        if news.ended is not None:
            work.rings.add(RESULTS)


async def _tell_of_child(work: Work, parent: str) -> None:
    """A job's child has got on: whoever watches the job reads it again."""
    process = await work.processes.find(parent)
    if process is not None and process.ended is None:
        tell(work, process)


async def _output(work: Work, data: JobOutput) -> None:
    process = await work.processes.find(data.job, lock=True)
    if process is None:
        return
    known = dict(process.outputs or {})
    before = known.get(data.output)
    if before is not None and OUTPUT_ORDER[before["state"]] > OUTPUT_ORDER[data.state]:
        return
    known[data.output] = {"state": data.state, "rows": data.rows, "message": data.message}
    process.outputs = known
