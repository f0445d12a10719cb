"""Run the checks and tests, on the embedded parts and on real servers that are found or started here.

Without paths: the checks (ruff, types, house rules), the unit tests beside their packages, and the suites under
`tests/`. With paths: those tests only. The last line is `N passed, N failed, N skipped`.
"""

import argparse
import time
from pathlib import Path

from studio9_cli import project
from studio9_cli.lints import lengths
from studio9_cli.testing import parts, summary
from studio9_cli.testing.runner import Runner

LIMIT_S = 75 * 60.0
"""Ends a run that hangs. The aim on two idle cores is 25 minutes."""
LIMIT_ALL_S = 6 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("paths", nargs="*", help="files, folders or pytest ids; their tests only")
    parser.add_argument("--all", action="store_true", help="also the slow tests and the long suites")
    parser.add_argument("--unit", action="store_true", help="checks and unit tests only; no server is started")
    parser.add_argument("-k", metavar="EXPRESSION", help="pytest's selection by name")
    parser.add_argument("-x", action="store_true", help="each part stops at its first failure")


def run(args: argparse.Namespace) -> int:
    """0 when nothing failed."""
    started = time.monotonic()
    root = project.root()
    if args.paths:
        selected = parts.chosen(root, args.paths, start=Path.cwd())
    else:
        selected = parts.planned(root, unit=args.unit, everything=args.all)
    options = [*(["-k", args.k] if args.k else []), *(["-x"] if args.x else [])]
    if not args.all and not args.paths:
        options += ["-m", "not slow"]
    runner = Runner(
        pytest_options=options,
        limit_s=LIMIT_ALL_S if args.all else LIMIT_S,
        say=lambda result: print(summary.progress(result)),
    )
    results, servers = runner.run(selected, checks=not (args.paths or args.k))
    sources = {path: (root / path).read_text(encoding="utf-8") for path in project.python_files()}
    print(summary.summary(results, servers, lengths.report(sources), time.monotonic() - started))
    return 1 if any(result.failed for result in results) else 0
