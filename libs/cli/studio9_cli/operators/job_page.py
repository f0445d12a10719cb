"""`studio9 jobs`: the list, the page of one job, its events."""

from collections.abc import Sequence
from typing import Any

from studio9_cli.operators.text import age, between, clock, fields, size, table
from studio9_common.tracing import trace_id_of


def job_list(jobs: Sequence[dict[str, Any]]) -> str:
    """One line per job; what a job that has ended ended with, or why one that waits does."""
    rows = [
        (
            one["id"],
            one["kind"],
            one["state"] if one["state"] == one["phase"] or one.get("ended_at") else f"{one['state']}/{one['phase']}",
            one.get("priority", 0),
            one.get("attempts", 0),
            one.get("worker"),
            age(one["created_at"]),
            one.get("why_waiting") or one.get("reason"),
        )
        for one in jobs
    ]
    return table(("JOB", "KIND", "STATE", "PRIO", "ATTEMPTS", "WORKER", "AGE", "WHY"), rows) if rows else "no jobs"


def job_page(job: dict[str, Any]) -> str:
    """Everything about one job, for a terminal."""
    parts = [_head(job)]
    if job["attempts"]:
        parts.append("attempts\n" + _attempts(job["attempts"]))
    parts.append("life\n" + events(job["events"], indent="  "))
    if job.get("logs"):
        parts.append("last log lines\n" + _logs(job["logs"]))
    return "\n\n".join(parts)


def events(items: Sequence[dict[str, Any]], *, indent: str = "") -> str:
    """The life-cycle events, the oldest first."""
    rows = [
        (
            clock(one["time"]),
            one["type"] + (f" ×{one['count']}" if one.get("count", 1) > 1 else ""),
            one["phase"],
            one.get("attempt"),
            _reason(one.get("reason")),
            one.get("detail"),
        )
        for one in items
    ]
    return table(("TIME (UTC)", "EVENT", "PHASE", "ATTEMPT", "REASON", "DETAIL"), rows, indent=indent)


def _head(job: dict[str, Any]) -> str:
    spec, heard = job["spec"], job.get("heard")
    state = job["state"] if job["state"] == job["phase"] else f"{job['state']} (phase {job['phase']})"
    took = between(job.get("started_at"), job.get("ended_at"))
    pairs = [
        ("state", state),
        ("why", job.get("why_waiting")),
        ("reason", _whole_reason(job.get("reason"))),
        ("progress", _progress(heard)),
        ("heard", f"{age(heard['received_at'])} ago by {heard['worker']}" if heard else None),
        ("organisation", job["organisation"]),
        ("project", job.get("project")),
        ("owner", job["owner"]),
        ("queue", f"{job['priority_class']}, priority {job['priority']}"),
        ("needs", _needs(spec)),
        ("created", clock(job["created_at"])),
        ("queued", clock(job.get("queued_at"))),
        ("started", clock(job.get("started_at"))),
        (
            "ended",
            f"{clock(job['ended_at'])}" + (f", {took} after its start" if took else "")
            if job.get("ended_at")
            else None,
        ),
        ("not before", clock(job.get("not_before"))),
        ("cancel asked", clock(job.get("cancel_requested_at"))),
        ("parent", job.get("parent")),
        ("depends on", job.get("depends_on")),
        ("retried from", job.get("retried_from")),
        ("checkpoint", _object(job.get("checkpoint"))),
        ("manifest", _object((job.get("result") or {}).get("manifest"))),
        ("outputs", [_output(name, one) for name, one in (job.get("outputs") or {}).items()]),
        ("unsent", len(job.get("outbox") or ()) or None),
        ("trace", trace_id_of(job.get("traceparent"))),
    ]
    return f"job {job['id']}  {spec['kind']} ({spec['framework']})\n" + fields(pairs)


def _attempts(attempts: Sequence[dict[str, Any]]) -> str:
    rows = []
    for one in attempts:
        end = one.get("exit") or {}
        left = f"signal {end['signal']}" if end.get("signal") else end.get("code")
        rows.append(
            (
                one["number"],
                one["fence"],
                one["worker"],
                clock(one["assigned_at"]),
                clock(one.get("started_at")),
                clock(one.get("ended_at")),
                one.get("outcome"),
                _reason(one.get("reason")),
                left,
                size(end.get("peak_memory")),
                _file(one.get("checkpoint")),
            )
        )
    names = ("#", "FENCE", "WORKER", "ASSIGNED", "STARTED", "ENDED", "OUTCOME", "REASON", "EXIT", "PEAK", "CHECKPOINT")
    return table(names, rows, indent="  ")


def _logs(lines: Sequence[dict[str, Any]]) -> str:
    shown = []
    for one in lines:
        head = " ".join(filter(None, (clock(one.get("time")), one.get("level"))))
        shown.append(f"  {head}  {one.get('message', '')}".rstrip() if head else f"  {one.get('message', '')}")
    return "\n".join(shown)


def _reason(reason: dict[str, Any] | None) -> str | None:
    return str(reason["code"]) if reason else None


def _whole_reason(reason: dict[str, Any] | None) -> str | None:
    return f"{reason['class_']}/{reason['code']}: {reason['message']}" if reason else None


def _progress(heard: dict[str, Any] | None) -> str | None:
    if not heard or heard.get("progress") is None:
        return None
    detail = heard.get("detail") or {}
    text = f"{heard['progress']:.0%}"
    if detail.get("epochs"):
        text += f", epoch {detail.get('epoch') or 0} of {detail['epochs']}"
    if detail.get("remaining_s") is not None:
        text += f", about {detail['remaining_s']:.0f} s left"
    return text


def _needs(spec: dict[str, Any]) -> str:
    needs = spec["requirements"]
    parts = [f"{needs['gpus']} GPU" if needs["gpus"] else f"{needs['cpus']:g} CPU"]
    if needs["gpu_memory_gib"]:
        parts.append(f"{needs['gpu_memory_gib']:g} GiB of GPU memory")
    if needs["labels"]:
        parts.append("labels " + ", ".join(needs["labels"]))
    return ", ".join(parts)


def _object(ref: dict[str, Any] | None) -> str | None:
    return f"{ref['key']} ({size(ref['size'])})" if ref else None


def _file(ref: dict[str, Any] | None) -> str | None:
    return f"{ref['key'].rpartition('/')[2]} ({size(ref['size'])})" if ref else None


def _output(name: str, output: dict[str, Any]) -> str:
    rows = f", {output['rows']} rows" if output.get("rows") is not None else ""
    return f"{name}: {output['state']}{rows}"
