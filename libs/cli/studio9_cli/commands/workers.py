"""List and show the workers of a running platform; take one out of service and back; let machines join; remove them.

    studio9 workers list              studio9 workers drain WORKER [--wait SECONDS]
    studio9 workers show WORKER       studio9 workers resume WORKER
    studio9 workers history WORKER    studio9 workers remove WORKER [--force]
    studio9 workers token [--name WORKER] [--labels A,B] [--hours N]
    studio9 workers tokens            studio9 workers revoke WORKER

A drained worker takes no new job and finishes what it has: first `draining`, then `drained`. It remembers that across
restarts until it is resumed. A token lets one machine join, once (`studio9 worker up` there).
"""

import argparse
import asyncio
import getpass
import sys
from typing import Any

from studio9_cli.operators.connection import add_connection, run_command
from studio9_cli.operators.orion import OrionApi
from studio9_cli.operators.text import clock
from studio9_cli.operators.worker_page import history_page, member_list, worker_list, worker_page
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
    history = actions.add_parser("history", help="use, memory, temperature and power of its machine and GPUs")
    history.add_argument("worker", help="the worker's id")
    history.add_argument("--hours", type=float, default=1.0, help="how far back (1)")
    remove = actions.add_parser("remove", help="its broker user and its tokens are gone; it may join again")
    remove.add_argument("worker", help="the worker's id")
    remove.add_argument("--force", action="store_true", help="also while it has jobs: they go on elsewhere")
    token = actions.add_parser("token", help="print a one-time token with which a machine joins")
    token.add_argument("--name", default="", help="its id as a worker: letters, digits, - and _; by default a new id")
    token.add_argument("--labels", default="", help="labels that it shows, separated by commas")
    token.add_argument("--hours", type=float, default=1.0, help="how long the token is valid (1)")
    tokens = actions.add_parser("tokens", help="who was invited, joined, revoked or removed, and by whom")
    revoke = actions.add_parser("revoke", help="take back a token that was not used")
    revoke.add_argument("worker", help="the id that the token is for")
    for one in (history, remove, token, tokens, revoke):
        add_connection(one, organisation=False)


def run(args: argparse.Namespace) -> int:
    by = f"operator {getpass.getuser()}"
    match args.action:
        case "list":
            return run_command(args, lambda orion: orion.workers(), worker_list)
        case "show":
            return run_command(args, lambda orion: orion.worker(args.worker), worker_page)
        case "drain":
            return run_command(args, lambda orion: _drain(orion, args.worker, args.wait), _told)
        case "history":
            return run_command(args, lambda orion: orion.history(args.worker, args.hours), history_page)
        case "remove":
            return run_command(args, lambda orion: orion.remove(args.worker, by, force=args.force), _state)
        case "token":
            labels = [part.strip() for part in args.labels.split(",") if part.strip()]
            return run_command(
                args, lambda orion: orion.invite(args.name, labels=labels, hours=args.hours, by=by), _token
            )
        case "tokens":
            return run_command(args, lambda orion: orion.invited(), member_list)
        case "revoke":
            return run_command(args, lambda orion: orion.revoke(args.worker, by), _state)
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


def _token(found: dict[str, Any]) -> str:
    """The token alone on the standard output, so that it can be piped; what to do with it beside."""
    print(
        f"studio9: it admits one machine as worker {found['worker']} until {clock(found['expires_at'])}; there:\n"
        "  ./studio9 worker up --url ORION --join -      # then paste the token",
        file=sys.stderr,
    )
    return str(found["token"])


def _state(found: dict[str, Any]) -> str:
    return f"{found['worker']} {found['state']}"


def _told(found: dict[str, Any]) -> str:
    return str(found.get("state", "told to drain"))
