"""`studio9 workers`: the list, the page of one worker, what its machine measured, and who was let in."""

from collections.abc import Sequence
from typing import Any

from studio9_cli.operators.text import age, clock, fields, table


def worker_list(workers: Sequence[dict[str, Any]]) -> str:
    """One line per worker, the one that was heard last first."""
    rows = [
        (one["id"], one["state"], age(one["last_seen"]), _slots(one), _gpu_memory(one), one.get("labels"))
        for one in workers
    ]
    names = ("WORKER", "STATE", "HEARD", "SLOTS BUSY", "GPU MEMORY FREE", "LABELS")
    return table(names, rows) if rows else "no workers"


def worker_page(worker: dict[str, Any]) -> str:
    """Everything about one worker."""
    detail = worker.get("worker") or {}
    pairs = [
        ("state", worker["state"]),
        ("heard", f"{age(worker['last_seen'])} ago"),
        ("joined", clock(worker.get("joined_at"))),
        ("labels", worker.get("labels")),
        ("runners", detail.get("runners")),
        ("machine", [f"{name} {value:g}" for name, value in (detail.get("machine") or {}).items()]),
    ]
    slots = [
        (one["id"], one.get("kind"), one.get("gpu_memory_free_gib") or None, one.get("job"))
        for one in worker.get("slots", ())
    ]
    parts = [f"worker {worker['id']}\n" + fields(pairs)]
    parts.append("slots\n" + table(("SLOT", "KIND", "FREE GIB", "JOB"), slots, indent="  "))
    jobs = [(one["id"], one["kind"], one["phase"], one["organisation"]) for one in worker["jobs"]]
    if jobs:
        parts.append("jobs\n" + table(("JOB", "KIND", "PHASE", "ORGANISATION"), jobs, indent="  "))
    return "\n\n".join(parts)


def member_list(members: Sequence[dict[str, Any]]) -> str:
    """One line per machine that was invited, with the last of its history."""
    rows = [
        (one["worker"], one["state"], clock(one["expires_at"]), f"{last['event']} by {last['by']}", clock(last["time"]))
        for one in members
        for last in one["history"][-1:]
    ]
    return table(("WORKER", "STATE", "TOKEN UNTIL", "LAST CHANGE", "AT"), rows) if rows else "nobody was invited"


def history_page(measured: Sequence[dict[str, Any]]) -> str:
    """A line per minute: the machine, then each GPU."""
    names = list(dict.fromkeys(name for one in measured for name in one["machine"]))
    rows = [(clock(one["time"]), *(_figure(one["machine"].get(name)) for name in names)) for one in measured]
    return table(("TIME (UTC)", *(name.upper() for name in names)), rows) if rows else "nothing was measured"


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def _slots(worker: dict[str, Any]) -> str:
    slots = worker.get("slots", ())
    return f"{sum(1 for one in slots if one.get('job'))} of {len(slots)}"


def _gpu_memory(worker: dict[str, Any]) -> str | None:
    free = [f"{one.get('gpu_memory_free_gib', 0):g} GiB" for one in worker.get("slots", ()) if one.get("kind") == "gpu"]
    return ", ".join(free) or None
