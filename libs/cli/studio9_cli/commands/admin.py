"""Chores of an operator: secrets for a deployment, the first user's token.

`studio9 admin secrets --out deploy/compose` writes what the compose file needs; nothing has a default password.
`studio9 admin bootstrap-token` prints the one-time token with which the first user is made (POST /v1/bootstrap), for
the platform that runs on --state.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from studio9_cli.deployment import write_secrets
from studio9_common.errors import Studio9Error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    chores = parser.add_subparsers(dest="chore", required=True)
    secrets = chores.add_parser("secrets", help="write random secrets for a compose deployment")
    secrets.add_argument("--out", type=Path, required=True, help="folder of the compose file")
    token = chores.add_parser("bootstrap-token", help="print the one-time token of the first user")
    token.add_argument("--state", type=Path, default=Path("state"), help="state folder of the running platform")


def run(args: argparse.Namespace) -> int:
    try:
        if args.chore == "secrets":
            for file in write_secrets(args.out):
                print(file)
        else:
            print(asyncio.run(_bootstrap_token(args.state)))
    except Studio9Error as error:
        print(f"studio9: {error.message}", file=sys.stderr)
        return 1
    return 0


async def _bootstrap_token(state: Path) -> str:
    from studio9_cli.platform.operators import Operators

    async with Operators.of(state) as operators:
        return await operators.bootstrap_token()
