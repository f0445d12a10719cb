"""Run the job core against simulated faults: `simulate --runs N --seed S [--json FILE] [--plant NAME|all]`.

Ends with 1 when a run fails, or when a planted bug is not found. The same seed is the same run everywhere.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from studio9_cli import project
from studio9_cli.simulation.campaign import find_plants, simulate
from studio9_cli.simulation.plants.catalogue import plants
from studio9_cli.simulation.recording import record

CORES = min(len(os.sched_getaffinity(0)), 8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--runs", type=int, default=100, help="how many seeds; each is one run (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument(
        "--processes",
        type=int,
        default=CORES,
        help="how many runs, or planted bugs, at once (default: one a core, 8 at most)",
    )
    parser.add_argument("--within", type=float, metavar="S", help="begin nothing new after so many seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report")
    parser.add_argument(
        "--histories", type=Path, metavar="FOLDER", help="record finished jobs and messages of a few runs, instead"
    )
    parser.add_argument(
        "--plant", metavar="NAME", help="find a planted bug, or `all` of them, instead; `list` names them"
    )


def run(args: argparse.Namespace) -> int:
    """0 when every run holds, or every planted bug is found."""
    if args.plant == "list":
        for name, plant in plants().items():
            print(f"{name:<36} {(plant.__doc__ or '').partition(chr(10))[0]}")
        return 0
    if args.histories is not None:
        jobs, messages = record(args.histories, args.seed)
        print(f"{jobs} jobs and {messages} kinds of messages in {args.histories}")
        return 0
    if args.plant is not None and args.plant != "all" and args.plant not in plants():
        print(f"studio9: no planted bug {args.plant!r}; `--plant list` names them")
        return 2
    if args.plant is not None:
        names = [*plants()] if args.plant == "all" else [args.plant]
        found = find_plants(names, args.seed, tell=_say, processes=args.processes)
        report: dict[str, Any] = {"commit": project.commit(), "seed": args.seed, "plants": found}
        good = all(one["found"] for one in found)
    else:
        report = simulate(args.runs, args.seed, tell=_say, processes=args.processes, within_s=args.within)
        good = not report["failures"]
        told = ", ".join(f"{name} {report[name]}" for name in ("lost", "doubled", "stuck", "leaked", "broken"))
        print(
            f"{report['runs']} runs, {report['simulated_hours']} simulated hours in {report['seconds']} s: {told};"
            f" {report['legal_pairs_reached']} of {report['legal_pairs']} legal pairs of state and event"
        )
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if good else 1


def _say(text: str) -> None:
    print(text, flush=True)
