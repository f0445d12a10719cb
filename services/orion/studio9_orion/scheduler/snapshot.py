"""The snapshot after a pass, from which `studio9_common.contracts.waiting` tells why a job waits. Its size does not
grow with the queue."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from pydantic_core import to_json

from studio9_common.contracts.waiting import PlaceTaken, Snapshot
from studio9_orion.providers.port import Place
from studio9_orion.scheduler.fair import in_order
from studio9_orion.scheduler.model import Shape, Shares
from studio9_orion.scheduler.queues import Queues

LISTED = 600
"""Jobs whose place in the queue is told exactly."""
PLACES, LIMITS = 60, 300
"""Kinds of workers, and organisations with limits, at most."""
MAX_SNAPSHOT = 56 * 1024
"""Bytes of a snapshot as JSON; where it would be more, less is listed."""


def snapshot(queues: Queues, places: Sequence[Place], shares: Shares) -> Snapshot:
    """What a pass left: the places, the jobs in the order in which they will be served, limits."""
    for part in range(12):
        taken = _snapshot(queues, places, shares, part)
        if len(to_json(taken)) <= MAX_SNAPSHOT:
            break
    return taken


def _snapshot(queues: Queues, places: Sequence[Place], shares: Shares, part: int) -> Snapshot:
    """With all lists halved `part` times."""
    shapes: dict[Shape, int] = {}
    organisations: dict[str, int] = {}
    order = [
        (
            one.job,
            shapes.setdefault(one.shape, len(shapes)),
            organisations.setdefault(one.organisation, len(organisations)),
        )
        for one in in_order(queues, shares, LISTED >> part)
    ]
    names = sorted({name for one in queues.classes() for name in queues.organisations(one)})[: LIMITS >> part]
    return {
        "places": _places(places)[: PLACES >> part],
        "waiting": len(queues),
        "shapes": [(n.gpus, n.gpu_memory_gib, list(n.labels), image) for n, image in shapes],
        "organisations": list(organisations),
        "order": order,
        "limits": {
            name: [shares.running.get(name, 0), limit] for name in names if (limit := shares.limit_of(name)) is not None
        },
        "project_limits": _project_limits(queues, shares, names, LIMITS >> part),
    }


def _project_limits(
    queues: Queues, shares: Shares, organisations: Sequence[str], left: int
) -> dict[str, dict[str, list[int]]]:
    found: dict[str, dict[str, list[int]]] = {}
    if shares.project_limit is None and not shares.project_limits:
        return found
    for name in queues.classes():
        for organisation in organisations:
            if organisation not in queues.organisations(name):
                continue
            for (_, project), _ in queues.groups(name, organisation):
                limit = shares.project_limit_of(organisation, project) if project else None
                if limit is not None and left > 0:
                    left -= 1
                    running = shares.running_projects.get((organisation, project), 0)
                    found.setdefault(organisation, {})[project] = [running, limit]
    return found


def _places(places: Sequence[Place]) -> list[PlaceTaken]:
    alike: dict[Any, PlaceTaken] = {}
    for place in places:
        memory = [round(one, 1) for one in place.memory]
        key = (place.kind, tuple(sorted(place.labels)), place.isolated, tuple(memory))
        group = alike.setdefault(
            key,
            {
                "kind": place.kind,
                "labels": sorted(place.labels),
                "isolated": place.isolated,
                "memory_gib": memory,
                "total": 0,
                "free": 0,
                "best_gib": [],
            },
        )
        group["total"] += place.total
        group["free"] += place.free
        best = zip_longest(group["best_gib"], place.free_memory, fillvalue=0.0)
        group["best_gib"] = [round(max(pair), 1) for pair in best]
    return [alike[key] for key in sorted(alike)]
