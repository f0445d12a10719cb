"""The collections of Aries: which index holds what, and which fields can be searched. One owner each.

A document is its indexed fields at the top level and, where there is more, the whole in a stored field. `job_document`
makes that form of a job; `job_of` reads it back.
"""

from typing import Any

from studio9_common.contracts.job import Job, Phase, dump, known, load
from studio9_common.documents.port import FieldType, Index

_k, _t, _l, _d, _b, _s = (
    FieldType.keyword,
    FieldType.time,
    FieldType.long,
    FieldType.double,
    FieldType.boolean,
    FieldType.stored,
)

JOBS = Index(
    "jobs",
    {
        "organisation": _k, "project": _k, "owner": _k, "kind": _k, "state": _k, "phase": _k, "parent": _k,
        "depends_on": _k, "worker": _k, "priority": _l, "priority_class": _k, "fence": _l,
        "next_deadline": _t, "outbox_since": _t, "created_at": _t, "updated_at": _t, "queued_at": _t, "ended_at": _t,
        "job": _s,
    },
    monthly=True,
)  # fmt: skip
"""Owner: Orion. `next_deadline` is the earliest of the job's deadlines, `outbox_since` the oldest unsent command."""

BEATS = Index(
    "beats",
    {
        "organisation": _k, "job": _k, "fence": _l, "worker": _k, "sequence": _l, "phase": _k, "progress": _d,
        "received_at": _t, "lease_until": _t, "detail": _s,
    },
    lag_s=5,
)  # fmt: skip
"""Owner: Orion. One per running attempt, id = `job:fence`; overwritten by each beat, deleted when the job is clean."""

WORKERS = Index(
    "workers",
    {
        "organisation": _k, "state": _k, "labels": _k, "last_seen": _t, "joined_at": _t, "slots": _s, "worker": _s,
        "catalogue": _s,
    },
)  # fmt: skip
"""Owner: Orion. `organisation` is `system`."""

TELEMETRY = Index(
    "telemetry",
    {
        "organisation": _k, "job": _k, "fence": _l, "sequence": _l, "kind": _k, "key": _k, "split": _k, "step": _l,
        "value": _d, "time": _t, "items": _s,
    },
    monthly=True,
)  # fmt: skip
"""Owner: Orion. Append-only, id = `job:fence:sequence`; one document per batch (`items`), droppable."""

SWEEPS = Index("sweeps", {"organisation": _k, "orion": _k, "finished_at": _t, "kind": _k, "detail": _s})
"""Owner: Orion. One mark per kind of sweep: silence that could not have been heard is not silence."""

SCHEDULER = Index("scheduler", {"organisation": _k, "pool": _k, "epoch": _l, "updated_at": _t, "snapshot": _s})
"""Owner: Orion. The scheduler's epoch, and one snapshot per pool (why each job waits)."""

USAGE = Index("usage", {"organisation": _k, "updated_at": _t, "value": _d, "detail": _s})
"""Owner: Orion. Decayed use of slots, one document per organisation."""

CLAIMS = Index(
    "claims",
    {
        "organisation": _k,
        "stream": _k,
        "batch": _k,
        "state": _k,
        "created_at": _t,
        "updated_at": _t,
        "claim": _s,
    },
)
"""Owner: Taurus. Create-only claims of pictures (id = hash of stream, bucket, key, version) and their batches."""

RESULTS = Index(
    "results",
    {"organisation": _k, "job": _k, "kind": _k, "created_at": _t, "result": _s},
    monthly=True,
)
"""Owner: Orion. A job's result stands in its own document; earlier versions wrote a copy here, which goes with its
month."""

MEMBERS = Index("members", {"organisation": _k, "state": _k, "expires_at": _t, "updated_at": _t, "member": _s})
"""Owner: Orion. Machines that joined, or were invited to, by worker; `state` is invited, joined, revoked or removed. Of
their secrets there are hashes only. `organisation` is `system`."""

COLLECTIONS: dict[str, Index] = {
    index.name: index for index in (JOBS, BEATS, WORKERS, TELEMETRY, SWEEPS, SCHEDULER, USAGE, CLAIMS, RESULTS, MEMBERS)
}


def job_document(job: Job) -> dict[str, Any]:
    """The stored form of a job: what is searched at the top, the whole in `job`."""
    return {**job_fields(job), "job": dump(job, brief=True)}


def job_fields(job: Job) -> dict[str, Any]:
    """What a job is searched by; it follows from the job alone."""
    current = job.attempts[-1] if job.attempts and job.attempts[-1].ended_at is None else None
    body = {
        "organisation": job.organisation,
        "project": job.project,
        "owner": job.owner,
        "kind": job.spec.kind,
        "state": job.state.value,
        "phase": job.phase.value,
        "parent": job.parent,
        "depends_on": list(job.depends_on) or None,
        "worker": current.worker if current else None,
        "priority": job.priority,
        "priority_class": job.priority_class,
        "fence": job.fence,
        "next_deadline": min(job.deadlines.values(), default=None) if job.phase is not Phase.clean else None,
        "outbox_since": min((command.created_at for command in job.outbox), default=None),
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "queued_at": job.queued_at,
        "ended_at": job.ended_at,
    }
    return {key: value for key, value in body.items() if value is not None}


def job_of(body: dict[str, Any]) -> Job:
    """The job of its stored form."""
    return load(body["job"])


def job_as_known(body: dict[str, Any]) -> Job:
    """As `job_of`, cheaper, without what this version does not know: to be looked at, never to be written back."""
    return known(body["job"])
