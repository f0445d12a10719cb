"""Intake: requests, cancels, and what the warehouse reports. Batches are one bulk read and one bulk write."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from studio9_common.bus.port import Delivery
from studio9_common.contracts.envelope import Envelope, decode
from studio9_common.contracts.job import Job, ObjectRef
from studio9_common.contracts.messages import JobCancel, JobOutput, JobRequested
from studio9_common.errors import BadInput
from studio9_common.ids import is_id
from studio9_common.tracing import trace_for, trace_of
from studio9_orion.core import decide
from studio9_orion.core.events import Assigned, CancelRequested, OutputReported, Requested
from studio9_orion.shell import Applied, Shell, Told


class BadJobId(BadInput):
    """A job's id is a UUIDv7 in lower case, made by whoever requests it."""

    code = "bad_job_id"


class Offers(Protocol):
    """Who may have a free slot for a new job: the scheduler."""

    def offer(self, jobs: Iterable[Job]) -> dict[str, Assigned]: ...

    def settle(self, offered: Iterable[str], jobs: Mapping[str, Job]) -> None: ...


class Dispatcher:
    """The handler of `orion.requests.v1`; the operators' routes use the same `request` and `cancel`."""

    def __init__(self, shell: Shell, offers: Offers) -> None:
        self._shell, self._offers = shell, offers

    async def handle(self, deliveries: Sequence[Delivery]) -> None:
        """Raises Unavailable while the store is away, BadMessage for what can never be read."""
        await self.take([decode(delivery.body) for delivery in deliveries])

    async def take(self, envelopes: Sequence[Envelope]) -> Applied:
        """Applies messages in their order; durable when it returns."""
        requests = [e.data for e in envelopes if isinstance(e.data, JobRequested) and e.data.retried_from]
        checkpoints = await self._checkpoints(requests)
        told = [_told(envelope, checkpoints) for envelope in envelopes]
        offered = self._offered([event for _, event in told if isinstance(event, Requested)])
        jobs: Mapping[str, Job] = {}
        try:
            applied = await self._shell.apply(told + list(offered.items()))
            jobs = applied.jobs
        finally:
            self._offers.settle(offered, jobs)
        return applied

    def _offered(self, requests: Sequence[Requested]) -> dict[str, Assigned]:
        """The slots that new jobs get with their first write: one write and one round less until a worker has them."""
        now, policy = self._shell.clock.now(), self._shell.policy
        new = [request for request in requests if self._shell.jobs.written(request.job) is None]
        made = (decide(None, request, now, policy).job for request in new)
        return self._offers.offer(job for job in made if job is not None)

    async def _checkpoints(self, requests: Sequence[JobRequested]) -> dict[str, tuple[str, ObjectRef]]:
        """By job id: whose it is, and the last checkpoint of a job that is retried."""
        names = [request.retried_from for request in requests if request.retried_from]
        found = await self._shell.jobs.load_many(names)
        return {
            id: (item.job.organisation, item.job.checkpoint)
            for id, item in found.items()
            if item.job.checkpoint is not None
        }


def _told(envelope: Envelope, checkpoints: dict[str, tuple[str, ObjectRef]]) -> Told:
    data = envelope.data
    match data:
        case JobRequested():
            if not is_id(data.job):
                raise BadJobId(field="job", value=data.job)
            owner, checkpoint = checkpoints.get(data.retried_from or "", ("", None))
            event = Requested(
                job=data.job,
                organisation=envelope.organisation,
                owner=data.owner,
                spec=data.spec,
                request_hash=request_hash(data),
                project=data.project,
                priority=data.priority,
                priority_class=data.priority_class,
                parent=data.parent,
                depends_on=data.depends_on,
                retried_from=data.retried_from,
                checkpoint=checkpoint if owner == envelope.organisation else None,
                context=data.context,
                traceparent=(trace_of(envelope.traceparent) or trace_for(data.job)).traceparent,
            )
            return data.job, event
        case JobCancel():
            if not is_id(data.job):
                raise BadJobId(field="job", value=data.job)
            cancel = CancelRequested(
                job=data.job, organisation=envelope.organisation, requested_by=data.requested_by[:128]
            )
            return data.job, cancel
        case JobOutput():
            report = OutputReported(
                organisation=envelope.organisation,
                output=data.output,
                state=data.state,
                rows=data.rows,
                manifest_sha256=data.manifest_sha256,
                message=data.message,
            )
            return data.job, report
    raise BadInput(f"{envelope.type} does not belong into this queue", field="type", value=envelope.type)


def request_hash(request: JobRequested) -> str:
    """The same request has the same hash, however often it is sent, and by whichever version: what has its default
    value does not count, so that a field that a later version adds makes no other request of it."""
    body = json.dumps(request.model_dump(mode="json", exclude_defaults=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()
