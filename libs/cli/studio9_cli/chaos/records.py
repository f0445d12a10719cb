"""The records of the fault ledger: reports of simulate, its plants, chaos and the recover bench, made small.

They lie in `docs/operations/records`, one JSON file a run, named by what it is, its day and its seed.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from studio9_cli import project
from studio9_cli.bench.kit import machine
from studio9_common.errors import BadInput

FOLDER = "docs/operations/records"
Kind = Literal["simulate", "plants", "chaos", "recover"]
KINDS: tuple[Kind, ...] = ("simulate", "plants", "chaos", "recover")
LEFT_OUT = frozenset({"stories", "state_event_pairs", "processes", "legal_pairs_missed"})
"""What a ledger does not need of a report."""

Record = Mapping[str, Any]


class NoRecord(BadInput):
    """This is no report of `simulate`, `chaos` or `bench recover`; give a file that one of them wrote with --json."""

    code = "no_record"


def kind_of(report: Record) -> Kind:
    """Which command wrote a report. Raises NoRecord."""
    if "plants" in report:
        return "plants"
    if "simulated_hours" in report:
        return "simulate"
    if report.get("kind") == "chaos":
        return "chaos"
    if report.get("bench") == "recover":
        return "recover"
    raise NoRecord(field="record")


def record(file: Path) -> Path:
    """Keeps a report as a record; its path. A report without a date gets that of its file. Raises NoRecord."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        kind = kind_of(report)
    except (ValueError, AttributeError):
        raise NoRecord(field="record", value=file) from None
    day = datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    kept = {"date": day, "commit": "unknown", "machine": machine.describe()} | report
    kept = {"kind": kind} | {name: value for name, value in kept.items() if name not in LEFT_OUT}
    if kind == "simulate":
        kept["failures"] = [{"seed": one["seed"], "problems": one["problems"][:3]} for one in kept["failures"]]
    name = "-".join([kind, kept["date"][:10], *([str(kept["seed"])] if "seed" in kept else [])])
    target = project.root() / FOLDER / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def records(folder: Path | None = None) -> dict[Kind, Sequence[Record]]:
    """All records by kind, in the order of their dates and seeds."""
    found: dict[Kind, list[Record]] = {kind: [] for kind in KINDS}
    for file in sorted((folder or project.root() / FOLDER).glob("*.json")):
        one = json.loads(file.read_text(encoding="utf-8"))
        found[kind_of(one)].append(one)
    return {kind: sorted(some, key=lambda one: (one["date"], one.get("seed", 0))) for kind, some in found.items()}
