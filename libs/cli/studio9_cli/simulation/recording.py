"""Recorded histories: finished jobs and messages of a few runs, as a version wrote them, for later versions to read."""

import json
from pathlib import Path
from typing import Any

from studio9_cli.simulation.clock import EPOCH
from studio9_cli.simulation.plan import plan_of
from studio9_cli.simulation.substitutes import Parcel
from studio9_cli.simulation.world import World
from studio9_common.bus.port import Outgoing
from studio9_common.contracts.collections import job_document
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import SCHEMA, TERMINAL, Job

SEEDS = 40
MOST = 24
"""Jobs that are kept: those whose lives differ most."""
FOLDED = 2
"""Rounds of the same events that are told apart; more of them are the same life."""


def record(folder: Path, seed: int) -> tuple[int, int]:
    """Writes jobs.json and messages.json into the folder; how many jobs and kinds of messages there are."""
    lives: dict[str, dict[str, Any]] = {}
    messages: dict[str, Any] = {}
    for number in range(seed, seed + SEEDS):
        world = World(plan_of(number))
        route = world.broker.route

        def listen(message: Outgoing, known: Any = route) -> Any:
            parcel = message.body
            if isinstance(parcel, Parcel) and parcel.envelope.type not in messages:
                messages[parcel.envelope.type] = _envelope(parcel.envelope)
            return known(message)

        world.broker.route = listen  # type: ignore[method-assign] # it listens to one world only
        world.run()
        for wish in world.plan.wishes:
            job = world.job(wish.id)
            if job is not None and job.state in TERMINAL:
                lives.setdefault(_life(job), job_document(job))
    kept = _different(list(lives))
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "jobs.json", "documents", [lives[life] for life in sorted(kept)])
    _write(folder / "messages.json", "messages", [messages[kind] for kind in sorted(messages)])
    return len(kept), len(messages)


def _different(lives: list[str]) -> list[str]:
    """The lives that together tell most: each shows what those before it do not, then the longest."""
    kept: list[str] = []
    shown: set[str] = set()
    left = sorted(lives, key=lambda life: (-len(life), life))
    while left and len(kept) < MOST:
        best = max(left, key=lambda life: len(set(life.split()) - shown))
        left.remove(best)
        kept.append(best)
        shown |= set(best.split())
    return kept


def _life(job: Job) -> str:
    """What happened to a job, without how often."""
    told: list[str] = []
    for event in job.events:
        reason = f":{event.reason.code}" if event.reason else ""
        name = f"{event.type}{reason}"
        if told[-FOLDED:].count(name) < FOLDED:
            told.append(name)
    return " ".join(told)


def _envelope(sent: Any) -> Any:
    made = encode(sent.data, source=sent.source, organisation=sent.organisation, id=sent.id or "1", now=EPOCH)
    decode(made.body)
    return json.loads(made.body)


def _write(path: Path, name: str, items: list[Any]) -> None:
    """One item a line, so that a change of the file shows which."""
    lines = ",\n".join(json.dumps(item, ensure_ascii=False, sort_keys=True) for item in items)
    path.write_text(f'{{"schema": {SCHEMA}, "{name}": [\n{lines}\n]}}\n', encoding="utf-8")
