"""Chores of an operator: secrets for a deployment, the first user's token.

`studio9 admin secrets --out deploy/compose` writes what the compose file needs; nothing has a default password.
`studio9 admin bootstrap-token` prints the one-time token with which the first user is made (POST /v1/bootstrap), for
the platform that runs on --state.
`studio9 admin operator-token` prints the token with which operators of a platform elsewhere ask its Orion (`--url`).
"""

import argparse
import asyncio
import sys
from pathlib import Path

from studio9_cli.deployment import write_secrets
from studio9_cli.platform.state import StateFolder
from studio9_common.errors import BadInput, Studio9Error
from studio9_common.tokens import Caller, TokenKeys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    chores = parser.add_subparsers(dest="chore", required=True)
    secrets = chores.add_parser("secrets", help="write random secrets for a compose deployment")
    secrets.add_argument("--out", type=Path, required=True, help="folder of the compose file")
    token = chores.add_parser("bootstrap-token", help="print the one-time token of the first user")
    token.add_argument("--state", type=Path, default=Path("state"), help="state folder of the running platform")
    operator = chores.add_parser("operator-token", help="print a token for jobs, workers and dead-letters --url")
    operator.add_argument("--state", type=Path, default=Path("state"), help="state folder whose keys sign it")
    operator.add_argument("--env-file", type=Path, help="file with TOKEN_KEYS=…, as `admin secrets` writes it, instead")
    operator.add_argument("--organisation", default="system", help="id of the only organisation it is for")
    operator.add_argument("--days", type=float, default=7.0, help="how long it is valid")


def run(args: argparse.Namespace) -> int:
    try:
        if args.chore == "secrets":
            for file in write_secrets(args.out):
                print(file)
        elif args.chore == "operator-token":
            keys = _keys_of(args.env_file) if args.env_file else _keys_on(args.state)
            print(operator_token(keys, args.organisation, args.days))
        else:
            print(asyncio.run(_bootstrap_token(args.state)))
    except Studio9Error as error:
        print(f"studio9: {error.message}", file=sys.stderr)
        return 1
    return 0


class NoKeys(BadInput):
    """There are no token keys here; name the file that `studio9 admin secrets` wrote, or a used state folder."""


def operator_token(keys: TokenKeys, organisation: str, days: float) -> str:
    """A token for Orion's operators' API, valid from now on. Whoever has it may cancel jobs: keep it private."""
    return keys.sign(Caller("operator", organisation), "orion", lifetime_s=int(days * 86_400))


def _keys_of(file: Path) -> TokenKeys:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise NoKeys(field="env-file", value=file) from None
    for line in lines:
        name, _, value = line.partition("=")
        if name.strip() in ("TOKEN_KEYS", "STUDIO9_TOKEN_KEYS"):
            return TokenKeys(value.strip())
    raise NoKeys(field="env-file", value=file)


def _keys_on(state: Path) -> TokenKeys:
    folder = StateFolder(state)
    if not (folder.path / "secrets.json").exists():
        raise NoKeys(field="state", value=state)
    return TokenKeys(folder.secrets().token_keys)


async def _bootstrap_token(state: Path) -> str:
    from studio9_cli.platform.operators import Operators

    async with Operators.of(state) as operators:
        return await operators.bootstrap_token()
