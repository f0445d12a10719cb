"""Do the platform's whole main job on real images: albums, training, evaluation, prediction, SQL.

It starts the platform in a process of its own (`studio9 up`), makes the first user through a one-time token, and does
everything over HTTP as a user would. A second run on the same state folder makes new albums beside the old ones.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from studio9_cli.demo.journey import EPOCHS
from studio9_cli.demo.runner import DemoOptions, run_demo
from studio9_cli.demo.show import Screen


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, default=Path("state"), help="folder for everything the platform keeps")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--keep", action="store_true", help="leave the platform running")
    parser.add_argument("--port", type=int, default=20016, help="Baile's port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="epochs of the training")
    parser.add_argument("--pages", type=int, default=160, help="pages of the train album; the others follow")


def run(args: argparse.Namespace) -> int:
    options = DemoOptions(
        state=args.state.absolute(), port=args.port, keep=args.keep, epochs=args.epochs, pages=args.pages
    )
    figures, error = asyncio.run(run_demo(options, Screen()))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    if error:
        print(f"studio9: the demo failed: {error}", file=sys.stderr)
        print(f"studio9: the platform's log is {args.state / 'log'}", file=sys.stderr)
        return 1
    return 0
