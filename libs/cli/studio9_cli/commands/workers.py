"""List and show the workers of a running platform; take one out of service and back.

    studio9 workers list             studio9 workers drain WORKER [--wait SECONDS]
    studio9 workers show WORKER      studio9 workers resume WORKER

A drained worker takes no new job and finishes what it has: first `draining`, then `drained`. It remembers that across
restarts until it is resumed.
"""

import argparse
import asyncio
import sys
from typing import Any

from studio9_cli.operators.connection import add_connection, run_command
from studio9_cli.operators.orion import OrionApi
from studio9_cli.operators.worker_page import worker_list, worker_page
from studio9_common.errors import Studio9Error

LOOK_S = 1.0


class NotDrained(Studio9Error):
    """The worker still has jobs; it goes on draining. Look at them with `studio9 workers show`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add_connection(actions.add_parser("list", help="workers, the one that was heard last first"), organisation=False)
    for name, meaning in (
        ("show", "a worker's slots and jobs"),
        ("drain", "no new jobs; what it has is finished"),
        ("resume", "new jobs again"),
    ):
        one = actions.add_parser(name, help=meaning)
        one.add_argument("worker", help="the worker's id")
        if name == "drain":
            one.add_argument("--wait", type=float, metavar="SECONDS", help="wait so long until it has no job left")
        add_connection(one, organisation=False)


def run(args: argparse.Namespace) -> int:
    match args.action:
        case "list":
            return run_command(args, lambda orion: orion.workers(), worker_list)
        case "show":
            return run_command(args, lambda orion: orion.worker(args.worker), worker_page)
        case "drain":
            return run_command(args, lambda orion: _drain(orion, args.worker, args.wait), _told)
    return run_command(args, lambda orion: orion.resume(args.worker), lambda _: "told to take jobs again")


async def _drain(orion: OrionApi, worker: str, wait_s: float | None) -> dict[str, Any]:
    """Tells it; with `wait_s`, waits until it has no job left. Raises NotDrained."""
    told = await orion.drain(worker)
    if wait_s is None:
        return told
    try:
        async with asyncio.timeout(wait_s):
            while True:
                state = (await orion.worker(worker))["state"]
                if state == "drained":
                    return {**told, "state": state}
                print(f"studio9: {state}", file=sys.stderr)
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise NotDrained from None


def _told(found: dict[str, Any]) -> str:
    return str(found.get("state", "told to drain"))
