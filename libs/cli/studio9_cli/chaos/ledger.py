"""The fault ledger, `docs/operations/fault-ledger.md`: written from the records alone, so that the same records always
make the same page.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from studio9_cli import project
from studio9_cli.chaos.checker import SORTS
from studio9_cli.chaos.records import Kind, Record, records
from studio9_cli.chaos.report import histogram

PAGE = "docs/operations/fault-ledger.md"
HEAD = """\
# Fault ledger

What was done to the job core, and what came of it: every run that is counted here, with the seeds that repeat it.
`./studio9 chaos --ledger` writes this page from `records/`; `./studio9 chaos --record FILE` adds a report to them.

- **lost**: a job that was asked for and is not there, or that ended otherwise than its task and its users wanted
  without a fault that explains it.
- **doubled**: effects of two attempts visible, two ends, a result of a superseded attempt accepted, or a task that
  began twice.
- **stuck**: not over, or not cleaned up, after everything had been repaired for a while.
- **orphans** (leaked): processes, folders, objects or beats left two orphan sweeps after a job's end.
"""
MISSING = "No record yet."


def write_ledger() -> Path:
    """Writes the page; its path."""
    page = project.root() / PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(ledger(records()), encoding="utf-8")
    return page


def ledger(found: Mapping[Kind, Sequence[Record]]) -> str:
    """The page."""
    parts = [
        HEAD,
        "## Simulation\n\nThe real core, shell, scheduler, sweeper, cleaner and worker on simulated ports in virtual"
        " time: at least 20 jobs,\ntwo Orions, three workers, ten faults and one simulated hour a run."
        " `./studio9 simulate --runs N --seed S`.\n",
        _simulated(found["simulate"]),
        "## Planted bugs\n\nEach is put in on purpose; the simulation must find it, with a seed that holds without it."
        " `./studio9 simulate --plant all`.\n",
        _plants(found["plants"]),
        "## Chaos on real servers\n\nRabbitMQ, Elasticsearch, Aries, two Orions and three workers as processes."
        " `./studio9 chaos --minutes M --seed S`.\n",
        _chaos(found["chaos"]),
        "## Recovery times\n\n`./studio9 bench recover`, with production's times.\n",
        _recover(found["recover"]),
    ]
    return "\n".join(parts)


def _simulated(runs: Sequence[Record]) -> str:
    if not runs:
        return MISSING + "\n"
    counts = ("runs", "simulated_hours", "lost", "doubled", "stuck", "leaked", "broken")
    rows = [[_day(run), _commit(run), run["seed"], *(run[name] for name in counts), _pairs(run)] for run in runs]
    total: list[object] = ["**all**", "", "", *(round(sum(run[name] for run in runs), 2) for name in counts), ""]
    head = ["date", "commit", "first seed", "runs", "simulated hours", *counts[2:], "pairs of state and event reached"]
    failures = [(one["seed"], problem) for run in runs for one in run["failures"] for problem in one["problems"]]
    told = table(head, [*rows, total])
    told += _listed("Seeds that failed", (f"`{seed}`: {problem}" for seed, problem in failures))
    return told + _injected(runs)


def _pairs(run: Record) -> str:
    legal = f", {run['legal_pairs_reached']} of {run['legal_pairs']} legal" if "legal_pairs" in run else ""
    return f"{run['pairs_reached']}{legal}"


def _injected(runs: Sequence[Record]) -> str:
    """By kind of fault: how many, and how many of them broke something."""
    injected: Counter[str] = Counter()
    effective: Counter[str] = Counter()
    for run in runs:
        for kind, found in run.get("faults", {}).items():
            injected[kind] += found["injected"]
            effective[kind] += found["took_effect"]
    rows = [[kind, injected[kind], effective[kind]] for kind in sorted(injected)]
    return "\n" + table(["fault", "injected", "took effect"], rows) if rows else ""


def _plants(runs: Sequence[Record]) -> str:
    if not runs:
        return MISSING + "\n"
    run = runs[-1]
    rows = [
        [f"`{one['name']}`", one["seed"] if one["found"] else "**not found**", one["problem"] or ""]
        for one in run["plants"]
    ]
    found = sum(1 for one in run["plants"] if one["found"])
    return f"{_day(run)}, commit {_commit(run)}: {found} of {len(rows)} found.\n\n" + table(
        ["planted bug", "found by seed", "as"], rows
    )


def _chaos(runs: Sequence[Record]) -> str:
    if not runs:
        return MISSING + "\n"
    counts = ("submitted", "completed", "failed", "cancelled", "attempts_lost", "resumed", "faults", *SORTS)
    rows = [
        [_day(run), _commit(run), run["seed"], run["minutes"], run["pace"], *(run[name] for name in counts)]
        for run in runs
    ]
    total = ["**all**", "", "", sum(run["minutes"] for run in runs), ""]
    total += [sum(run[name] for run in runs) for name in counts]
    heads = (name.replace("_", " ") for name in counts)
    told = table(["date", "commit", "seed", "minutes", "pace", *heads], [*rows, total])
    told += "\nOn " + "; ".join(sorted({f"{_machine(run)}; {', '.join(_servers(run))}" for run in runs})) + ".\n"
    findings = (
        f"seed `{run['seed']}`, {one['sort']}: job {one['job']} {one['what']}"
        for run in runs
        for one in run["findings"]
    )
    return told + _listed("What was found", findings) + _kinds(runs) + _held(runs)


def _kinds(runs: Sequence[Record]) -> str:
    """By kind of fault, over all runs: what was found of the jobs that were there meanwhile, and recovery times."""
    kinds: dict[str, list[Record]] = {}
    for run in runs:
        for kind, found in run["recovery"].items():
            kinds.setdefault(kind, []).append(found)
    sums = ("faults", "jobs", *SORTS, "not_recovered")
    order = [*histogram([])]
    rows = []
    for kind, some in sorted(kinds.items()):
        rows.append([kind, *(sum(found[name] for found in some) for name in sums), *_bars(some, order, "")])
        if any("histogram_among_others" in found for found in some):
            rows.append(["… among others", *[""] * len(sums), *_bars(some, order, "_among_others")])
    head = ["fault", "times", "jobs meanwhile", *SORTS, "not within 90 s"]
    head += [bar.replace("<=", "≤ ").replace(">", "> ") + " s" for bar in order]
    return (
        "\nBy kind of fault: what was found of the jobs that were there meanwhile, and the seconds from its repair"
        "\n(a server takes connections again, a service's process is started) until a new job had run through. The bars"
        "\ncount those in whose way no other fault was; below them, since 2026-11-22, those in whose way there was one:"
        "\n\n" + table([*head, "longest"], rows)
    )


def _bars(some: Sequence[Record], order: Sequence[str], which: str) -> list[object]:
    """The histogram of all of them, and the longest."""
    drawn = [found[f"histogram{which}"] for found in some if f"histogram{which}" in found]
    known = (found.get(f"max_s{which}") for found in some)
    longest = max((one for one in known if one is not None), default="")
    return [*(sum(bars[bar] for bars in drawn) or "" for bar in order), longest]


def _held(runs: Sequence[Record]) -> str:
    rows = []
    for run in runs:
        held = run["delivery_timeout"]
        again = "yes" if held["came_again"] else "**no**"
        rows.append([run["seed"], held["timeout_s"], held["cut_after_s"], again, held["consumers_cut_later"]])
    head = ["seed", "time-out (s)", "held delivery cut after (s)", "came again", "consumers cut while faults went on"]
    return (
        "\nRabbitMQ's delivery time-out was set to seconds in these runs: first a delivery was held until it was cut;"
        " then jobs\nthat run longer than the time-out ran among the others.\n\n" + table(head, rows)
    )


def _recover(runs: Sequence[Record]) -> str:
    if not runs:
        return MISSING + "\n"
    told = []
    for run in runs:
        rows = []
        for figure in run["figures"]:
            goal = "" if figure["goal"] is None else f"≤ {figure['goal']:g}"
            met = {None: "", True: "yes", False: "**no**"}[figure["met"]]
            rows.append([f"`{figure['name']}`", f"{figure['ours']:.2f}", goal, met, figure.get("samples", "")])
        quick = ", quick (figures mean nothing)" if run["quick"] else ""
        told.append(f"{_day(run)}, commit {_commit(run)}, {_machine(run)}{quick}:\n")
        told.append(table(["figure", "seconds", "goal", "met", "samples"], rows))
    return "\n".join(told)


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _listed(title: str, lines: Iterable[str]) -> str:
    found = [f"- {line}\n" for line in lines]
    return f"\n{title}:\n\n{''.join(found)}" if found else ""


def _day(run: Record) -> str:
    return str(run["date"])[:10]


def _commit(run: Record) -> str:
    commit = str(run["commit"])
    return commit[:10] + ("+" if commit.endswith("+") else "")


def _machine(run: Record) -> str:
    given: Mapping[str, Any] = run["machine"]
    return f"{given['cores']} cores, {given['memory_gib']} GiB, {given['system']}, Python {given['python']}"


def _servers(run: Record) -> list[str]:
    return [str(product) for product in run["servers"].values() if product != "none"]
