"""Measure the platform beside its peers: `bench NAME [--json FILE]`, `bench --list`.

Ends with 1 when a goal is not met, with 3 when a server that the bench needs cannot be had.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from studio9_cli.bench.kit.running import CannotMeasure, known, measure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("name", nargs="?", choices=[*known()], help="which bench")
    parser.add_argument("--list", action="store_true", help="the benches there are")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report")
    parser.add_argument("--quick", action="store_true", help="one short pair, to see that it runs; judges nothing")


def run(args: argparse.Namespace) -> int:
    """0 when every goal is met, or the run was quick."""
    if args.list or not args.name:
        for name, line in known().items():
            print(f"{name:<16} {line}")
        return 0
    try:
        report = measure(args.name, quick=args.quick)
    except CannotMeasure as error:
        print(f"studio9: cannot measure {args.name}: {error}", file=sys.stderr)
        return 3
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for figure in report["figures"]:
        print(told(figure))
    return 0 if args.quick or all(figure["met"] is not False for figure in report["figures"]) else 1


def told(figure: dict[str, Any]) -> str:
    """One figure in words."""
    text = f"{figure['name']:<34} ours {figure['ours']:,.4g} {figure['unit']}"
    if figure["reference"] is not None:
        text += f", {figure['reference']} {figure['reference_value']:,.4g}, ratio {figure['ratio']:.3f}"
    if figure["goal"] is not None:
        verdict = "met" if figure["met"] else "NOT met"
        text += f" (goal {'≤' if figure['goal_is'] == 'at_most' else '≥'} {figure['goal']:g}: {verdict})"
    return text
