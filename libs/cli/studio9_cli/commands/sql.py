"""Run an analyst's reading statement on the prediction table of a running platform.

The statement sees the view `predictions` of one organisation, and can change nothing.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from studio9_cli.demo.show import Screen
from studio9_cli.platform.operators import Operators
from studio9_common.errors import Studio9Error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("statement", help='such as "SELECT label, count(*) FROM predictions GROUP BY label"')
    parser.add_argument("--organisation", default="Studio9 demo", help="the name of the organisation")
    parser.add_argument("--state", type=Path, default=Path("state"), help="state folder of the running platform")


def run(args: argparse.Namespace) -> int:
    try:
        columns, rows = asyncio.run(_query(args.state, args.organisation, args.statement))
    except Studio9Error as error:
        print(f"studio9: {error.message}", file=sys.stderr)
        return 1
    Screen().table(f"{len(rows)} rows", columns, rows)
    return 0


async def _query(state: Path, organisation: str, statement: str) -> tuple[list[str], list[list[object]]]:
    async with Operators.of(state) as operators:
        return await operators.sql(await operators.organisation(organisation), statement)
