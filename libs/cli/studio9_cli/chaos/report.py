"""The report of a run, as JSON and in words."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from studio9_cli import project
from studio9_cli.bench.kit import machine
from studio9_cli.chaos.asker import PROBE
from studio9_cli.chaos.checker import SORTS, Evidence, Finding
from studio9_cli.chaos.plan import Fault, Plan
from studio9_cli.chaos.platform import Platform
from studio9_common.contracts.job import Job, State
from studio9_common.times import format_time, parse_time

if TYPE_CHECKING:
    from studio9_cli.chaos.campaign import Options

BOUNDS_S = (1, 2, 5, 10, 15, 20, 30, 60)
"""Upper bounds of the histogram's bars; one more holds what took longer."""
SHOWN_JOBS = 20


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long after a fault's repair a new job had run through. `began` and `repaired` are `time.time()`;
    `undisturbed`: no other fault was there meanwhile."""

    fault: Fault
    began: float
    repaired: float
    seconds: float | None
    undisturbed: bool


def report_of(
    options: "Options",
    plan: Plan,
    platform: Platform,
    began: datetime,
    *,
    evidence: Evidence,
    findings: Sequence[Finding],
    recoveries: Sequence[Recovery],
    settled_s: float | None,
    dead_letters: Sequence[str],
    held: Mapping[str, Any],
    cut_later: int,
) -> dict[str, Any]:
    """The report: small, and all that the ledger needs."""
    jobs = [job for id, job in evidence.jobs.items() if evidence.asked[id].organisation != PROBE]
    states = Counter(job.state.value for job in jobs)
    sorts = Counter(finding.sort for finding in findings)
    lost = Counter(attempt.outcome for job in jobs for attempt in job.attempts)
    return {
        "kind": "chaos",
        "date": format_time(began),
        "commit": project.commit(),
        "machine": machine.describe(),
        "servers": dict(platform.products),
        "seed": options.seed,
        "minutes": options.minutes,
        "pace": options.pace.name,
        "proxy_faults": platform.without_proxies or "yes",
        "submitted": sum(1 for one in evidence.asked.values() if one.organisation != PROBE),
        "probes": sum(1 for one in evidence.asked.values() if one.organisation == PROBE),
        **{state: states[state] for state in ("completed", "failed", "cancelled")},
        **{sort: sorts[sort] for sort in SORTS},
        "attempts": sum(len(job.attempts) for job in jobs),
        "attempts_lost": lost["lost"],
        "resumed": sum(1 for job in jobs if job.result and job.result.summary.get("resumed_from")),
        "failed_by_reason": _reasons(jobs),
        "cancel_s": _cancels(evidence),
        "dead_letters": list(dead_letters),
        "settled_s": settled_s,
        "faults": len(recoveries),
        "recovery": _by_kind(recoveries, evidence, findings),
        "delivery_timeout": {**held, "consumers_cut_later": cut_later},
        "findings": [asdict(finding) for finding in findings],
        "stories": _stories(evidence, findings),
    }


def _reasons(jobs: Iterable[Job]) -> dict[str, int]:
    codes = (job.reason.code for job in jobs if job.state is State.failed and job.reason is not None)
    return dict(sorted(Counter(codes).items()))


def _cancels(evidence: Evidence) -> dict[str, Any]:
    """Seconds from a cancel that the broker had confirmed until the job's end, faults or not."""
    ends = {id: evidence.jobs[id].ended_at for id in evidence.cancels if id in evidence.jobs}
    found = sorted(
        max(0.0, parse_time(end).timestamp() - evidence.cancels[id]) for id, end in ends.items() if end is not None
    )
    return {
        "cancels": len(found),
        "median_s": round(statistics.median(found), 2) if found else None,
        "max_s": round(found[-1], 2) if found else None,
    }


def _by_kind(
    recoveries: Iterable[Recovery], evidence: Evidence, findings: Sequence[Finding]
) -> dict[str, dict[str, Any]]:
    """Per kind of fault: how many, how long after them all was normal where no other fault was in the way and where
    some were, how many jobs were there meanwhile, and what was found of those."""
    kinds: dict[str, list[Recovery]] = {}
    for recovery in recoveries:
        kinds.setdefault(recovery.fault.name, []).append(recovery)
    lives = {asked.id: (asked.at, _end(evidence.jobs.get(asked.id))) for asked in evidence.asked.values()}
    told: dict[str, dict[str, Any]] = {}
    for kind, found in sorted(kinds.items()):
        met = {
            id for id, (begin, end) in lives.items() if any(one.began < end and begin < one.repaired for one in found)
        }
        sorts = Counter(finding.sort for finding in findings if finding.job in met)
        told[kind] = _measured(found) | {"jobs": len(met)} | {sort: sorts[sort] for sort in SORTS}
    return told


def _end(job: Job | None) -> float:
    return parse_time(job.ended_at).timestamp() if job is not None and job.ended_at is not None else math.inf


def _measured(found: Sequence[Recovery]) -> dict[str, Any]:
    seconds = sorted(one.seconds for one in found if one.undisturbed and one.seconds is not None)
    among_others = [one.seconds for one in found if not one.undisturbed and one.seconds is not None]
    return {
        "faults": len(found),
        "not_recovered": sum(1 for one in found if one.seconds is None),
        "measured": len(seconds),
        "median_s": round(statistics.median(seconds), 2) if seconds else None,
        "max_s": seconds[-1] if seconds else None,
        "histogram": histogram(seconds),
        "histogram_among_others": histogram(among_others),
        "max_s_among_others": max(among_others, default=None),
    }


def histogram(seconds: Iterable[float]) -> dict[str, int]:
    """How many took at most so many seconds, by bar."""
    bars = {f"<={bound}": 0 for bound in BOUNDS_S} | {f">{BOUNDS_S[-1]}": 0}
    for one in seconds:
        bound = next((bound for bound in BOUNDS_S if one <= bound), None)
        bars[f">{BOUNDS_S[-1]}" if bound is None else f"<={bound}"] += 1
    return bars


def _stories(evidence: Evidence, findings: Sequence[Finding]) -> dict[str, list[str]]:
    """The event log of each job that something is wrong with, and what its tasks wrote down."""
    told: dict[str, list[str]] = {}
    for id in list(dict.fromkeys(finding.job for finding in findings))[:SHOWN_JOBS]:
        job = evidence.jobs.get(id)
        if job is None:
            continue
        lines = [
            f"{event.time} {event.type} → {event.phase} attempt {event.attempt}"
            f" {event.reason.code if event.reason else ''} {event.detail} ×{event.count}"
            for event in job.events
        ]
        lines += [f"attempt fence {one.fence} on {one.worker}: {one.outcome}" for one in job.attempts]
        lines += [f"outbox {command.type}" for command in job.outbox]
        lines += [f"task {one.what} fence {one.fence} on {one.worker}" for one in evidence.effects if one.job == id]
        lines += [f"heard {one.key} {one.state} {one.reason}" for one in evidence.heard.get(id, ())]
        told[id] = lines
    return told


def in_words(report: Mapping[str, Any]) -> list[str]:
    """What a person reads at the end."""
    counts = ", ".join(f"{report[name]} {name}" for name in ("submitted", "completed", "failed", "cancelled"))
    lines = [f"seed {report['seed']}: {counts}; {report['faults']} faults, settled after {report['settled_s']} s"]
    lines.append(", ".join(f"{sort} {report[sort]}" for sort in SORTS))
    for kind, found in report["recovery"].items():
        alone = f"normal after {found['median_s']} s, at most {found['max_s']}; " if found["measured"] else ""
        among = found["max_s_among_others"]
        others = f"with others about at most {among} s; " if among is not None else ""
        lines.append(f"  {kind:<27} {found['faults']} ×: {alone}{others}{found['not_recovered']} × not within 90 s")
    for finding in report["findings"]:
        lines.append(f"{finding['sort']} {finding['job']}: {finding['what']}")
    for job, story in report["stories"].items():
        lines += [f"job {job}", *(f"  {line}" for line in story)]
    return lines
