"""From a command in a job's outbox to the message on the bus. The job's document holds what the command leaves out."""

from collections.abc import Mapping, Sequence
from typing import Any

from studio9_common.bus.port import Outgoing
from studio9_common.contracts.envelope import SYSTEM, encode
from studio9_common.contracts.job import Command, Job
from studio9_common.contracts.messages import (
    MESSAGES,
    JobAccepted,
    JobClean,
    JobEnded,
    JobEvent,
    JobQueued,
    JobRequested,
    Message,
    SchedulerCall,
    WorkerCancel,
    WorkerRun,
)
from studio9_common.times import parse_time
from studio9_common.tracing import Trace
from studio9_orion.core import Policy
from studio9_orion.core.asking import ASKED
from studio9_orion.traces import attempt_trace, job_trace, traceparent_of

MANDATORY = frozenset({WorkerRun.type, WorkerCancel.type, JobClean.type, JobRequested.type})
"""Messages that somebody must take; nobody needs to listen to a job's events."""


def message_of(job: Job, command: Command, policy: Policy) -> Message:
    """The message of a command, as the job is now."""
    kind = MESSAGES[command.type]
    data: dict[str, Any] = {"job": job.id, **command.data}
    if issubclass(kind, JobEvent):
        data |= {"kind": job.spec.kind, "parent": job.parent, "context": job.context, "time": command.created_at}
    if issubclass(kind, JobEnded):
        data |= _ended(job)
    elif kind is JobAccepted:
        data["state"] = job.state
    elif kind is JobQueued:
        data["reason"] = job.reason
    elif kind is JobRequested:
        data |= _requested(job, command.data)
    elif kind is WorkerRun:
        data |= {"spec": job.spec, "resume": job.checkpoint, "lease_s": policy.lease_s, "children": job.children}
        data |= {"attempt": job.attempts[-1].number, "version": job.events[-1].n, "n": command.n}
    elif kind is WorkerCancel:
        data |= {"grace_s": policy.cancel_grace_s, "version": job.events[-1].n, "n": command.n}
    return kind(**data)


def outgoing_of(job: Job, command: Command, policy: Policy) -> Outgoing:
    """The bus message of a command. Its id is the same however often it is sent. Raises MessageTooLarge."""
    identifier = f"{job.id}:{command.n or command.type + command.created_at}"
    return encode(
        message_of(job, command, policy),
        source="orion",
        organisation=job.organisation,
        id=identifier,
        traceparent=traceparent_of(_trace(job, command)),
        now=parse_time(command.created_at),
        mandatory=command.type in MANDATORY,
    )


def scheduler_call(
    orion: str, removed: str | None = None, *, queued: Sequence[str] = (), ended: Sequence[str] = ()
) -> Outgoing:
    """The bus message by which one Orion calls the one that schedules; `removed` is a worker that it must forget,
    `queued` and `ended` are jobs that it must hear of."""
    call = SchedulerCall(orion=orion, removed=removed, queued=tuple(queued), ended=tuple(ended))
    return encode(call, source="orion", organisation=SYSTEM)


def _trace(job: Job, command: Command) -> Trace | None:
    fence = command.data.get("fence")
    if command.type in {WorkerRun.type, WorkerCancel.type} and fence is not None:
        return attempt_trace(job, int(fence))
    return job_trace(job)


def _requested(job: Job, command: Mapping[str, Any]) -> dict[str, Any]:
    """A child's request: it belongs to whom its parent belongs to. The same command makes the same request: one that an
    Orion of an earlier version has left does not say that the child was asked for."""
    return {
        "spec": next(one.spec for one in job.children if one.job == command["job"]),
        "context": {ASKED: command[ASKED]} if ASKED in command else {},
        "owner": job.owner,
        "project": job.project,
        "priority": job.priority,
        "priority_class": job.priority_class,
        "parent": job.id,
    }


def _ended(job: Job) -> dict[str, Any]:
    attempt = job.attempts[-1] if job.attempts else None
    result = job.result
    return {
        "state": job.state,
        "attempt": attempt.number if attempt else 0,
        "fence": job.fence,
        "reason": job.reason,
        "manifest": result.manifest if result else None,
        "summary": result.summary if result else {},
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    }
