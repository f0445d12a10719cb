"""Where a command finds Orion: the platform that runs on a state folder, or any other by address and token.

A token for another platform is made by `studio9 admin operator-token`, where the installation's keys are.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from studio9_cli.operators.orion import OrionApi
from studio9_common.errors import BadInput, Studio9Error
from studio9_common.ids import is_id
from studio9_common.tokens import Caller, TokenKeys

OPERATOR = "operator"
AUDIENCE = "orion"


class NoToken(BadInput):
    """The token file cannot be read; give one with --token-file, made by `studio9 admin operator-token`."""


def add_connection(parser: argparse.ArgumentParser, *, organisation: bool = True) -> None:
    """The options that say which platform, and whether for people or for programs."""
    parser.add_argument("--state", type=Path, default=Path("state"), help="state folder of the running platform")
    parser.add_argument("--url", help="Orion's address, such as http://127.0.0.1:8080, of a platform elsewhere")
    parser.add_argument("--token-file", type=Path, help="file with an operator's token, for --url")
    if organisation:
        parser.add_argument("--organisation", help="only this organisation: its name, or its id")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


@asynccontextmanager
async def connected(args: argparse.Namespace) -> AsyncIterator[OrionApi]:
    """Orion of the platform that the options name. Raises NotRunning, NoToken, and NotFound for an organisation."""
    wanted: str | None = getattr(args, "organisation", None)
    if args.url:
        token = await asyncio.to_thread(_token, args.token_file)
        api = OrionApi(args.url, lambda: token, organisation=wanted)
    else:
        address, sign, organisation = await _local(args.state, wanted)
        api = OrionApi(address, sign, organisation=organisation)
    try:
        yield api
    finally:
        await api.close()


async def _local(state: Path, wanted: str | None) -> tuple[str, Callable[[], str], str | None]:
    from studio9_cli.platform.operators import Operators
    from studio9_cli.platform.state import StateFolder

    async with Operators.of(state) as operators:
        organisation = wanted
        if wanted is not None and not is_id(wanted):
            organisation = await operators.organisation(wanted)
        keys = TokenKeys(StateFolder(state).secrets().token_keys)
        caller = Caller(OPERATOR, organisation or "system")
        return f"{operators.running.operators}/orion", lambda: keys.sign(caller, AUDIENCE), organisation


def _token(file: Path | None) -> str:
    if file is None:
        raise NoToken(field="token-file")
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise NoToken(field="token-file", value=file) from error


def run_command(
    args: argparse.Namespace, work: Callable[[OrionApi], Awaitable[Any]], show: Callable[[Any], str]
) -> int:
    """Does the work and prints what came of it; the exit status."""

    async def whole() -> Any:
        async with connected(args) as orion:
            return await work(orion)

    try:
        found = asyncio.run(whole())
    except Studio9Error as error:
        print(f"studio9: {error.line}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=2, ensure_ascii=False) if args.json else show(found))
    return 0
