"""Asking for a job: its process and its message, in the transaction of the assets that it works on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio9_baile.bell import MERGES, OUTBOX, TRANSFERS
from studio9_baile.jobs.limits import Limits
from studio9_baile.models.jobs import LOCAL, MERGE, Process, ProcessStatus, ResultState
from studio9_baile.models.pictures import Album
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind
from studio9_common.contracts.envelope import encode
from studio9_common.contracts.job import Spec
from studio9_common.contracts.messages import JobCancel, JobRequested, Message
from studio9_common.ids import new_id
from studio9_common.tracing import current_traceparent

SOURCE = "baile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A job to be asked for. `job_type` is Salsa's word for it; `data` is what finishing it will need."""

    id: str
    owner: str
    spec: Spec
    job_type: str
    target: Kind
    target_id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    listed: bool = True
    """Shown in the list of jobs."""


def ask(work: Work, wanted: Wanted, limits: Limits) -> Process:
    """Adds the process and the request; from the commit on the job is durable."""
    spec = wanted.spec
    process = work.processes.make(
        id=wanted.id,
        owner=wanted.owner,
        kind=spec.kind,
        job_type=wanted.job_type,
        target=wanted.target.value,
        target_id=wanted.target_id,
        listed=wanted.listed,
        context=dict(wanted.data),
        status=ProcessStatus.QUEUED,
        progress=0.0,
        attempt=0,
        result_state=ResultState.none,
        fill_failures=0,
    )
    _request(work, process, spec, limits)
    return process


def ask_cancel(work: Work, process: Process, by: str) -> None:
    """Asks for a job's end. Nothing changes here until Orion tells that it has ended; what
    Baile works off by itself ends here."""
    if process.cancel_requested_at is not None:
        return
    process.cancel_requested_at = work.now
    if process.kind in LOCAL:
        work.rings |= {MERGES, TRANSFERS}
    else:
        post(work, process.id, JobCancel(job=process.id, requested_by=by))


def begin_merge(work: Work, album: Album, sources: Sequence[str], *, only_labelled: bool) -> Process:
    """Adds the process of a merge; from the commit on it is carried out, also after a restart."""
    context = {"sources": list(sources), "only_labelled": only_labelled}
    return begin_local(work, MERGE, "MERGE_ALBUM", Kind.ALBUM, album.id, album.owner, context)


def begin_local(
    work: Work, kind: str, job_type: str, target: Kind, target_id: str, owner: str, context: Mapping[str, Any]
) -> Process:
    """Adds a process that Baile works off by itself."""
    work.rings.add(MERGES if kind == MERGE else TRANSFERS)
    return work.processes.make(
        id=new_job(),
        owner=owner,
        kind=kind,
        job_type=job_type,
        target=target.value,
        target_id=target_id,
        listed=True,
        context=dict(context),
        status=ProcessStatus.QUEUED,
        progress=0.0,
        attempt=0,
        result_state=ResultState.pending,
        fill_failures=0,
    )


def hand_over(work: Work, process: Process, spec: Spec, limits: Limits) -> None:
    """Makes a process that Baile has worked off so far a job's: it keeps its id, its start and its place."""
    process.kind = spec.kind
    process.status, process.result_state = ProcessStatus.QUEUED, ResultState.none
    process.cursor, process.fill_after, process.fill_failures = None, None, 0
    _request(work, process, spec, limits)


def _request(work: Work, process: Process, spec: Spec, limits: Limits) -> None:
    limited = limits.apply(work.organisation, spec)
    request = JobRequested(
        job=process.id,
        owner=process.owner,
        spec=limited.spec,
        context={"requested_by": SOURCE, "target": process.target, "target_id": process.target_id},
        priority=limited.priority,
        priority_class="gpu" if spec.requirements.gpus else "cpu",
    )
    post(work, process.id, request)


def post(work: Work, job: str, message: Message) -> None:
    """Puts a message into the outbox."""
    traceparent = current_traceparent()
    outgoing = encode(message, source=SOURCE, organisation=work.organisation, traceparent=traceparent, now=work.now)
    work.outbox.make(
        id=outgoing.message_id,
        job=job,
        type=message.type,
        routing_key=outgoing.routing_key,
        body=outgoing.body,
        times=0,
        next_at=work.now,
    )
    work.rings.add(OUTBOX)


def new_job() -> str:
    """The id of a job; its documents are found by the month in it."""
    return new_id()
