"""Look at messages that were given up; put them back into their queue, or drop them.

    studio9 dead-letters list [--queue QUEUE]        studio9 dead-letters replay ID … | --queue QUEUE
    studio9 dead-letters show ID                     studio9 dead-letters drop ID … | --queue QUEUE

Looking removes nothing. A replay is confirmed by the message's own queue before it leaves the dead letters: it is never
lost, at most doubled, and keeps its id.
"""

import argparse
from typing import Any

from studio9_cli.operators.connection import add_connection, run_command
from studio9_cli.operators.dead_letter_page import dead_letter_list, dead_letter_page
from studio9_cli.operators.orion import OrionApi
from studio9_common.errors import BadInput

MOST = 1_000


class NothingNamed(BadInput):
    """Say which: the ids of dead letters, or --queue for all of one queue."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="dead letters, the oldest first, and why each was given up")
    listed.add_argument("--queue", help="only those of this queue")
    listed.add_argument("--limit", type=int, default=100, help="how many at most")
    add_connection(listed)
    shown = actions.add_parser("show", help="one with its body")
    shown.add_argument("id")
    add_connection(shown)
    for name, meaning in (("replay", "put back into the queue it came from"), ("drop", "remove for good")):
        one = actions.add_parser(name, help=meaning)
        one.add_argument("ids", nargs="*", metavar="ID")
        one.add_argument("--queue", help="all of this queue")
        add_connection(one)


def run(args: argparse.Namespace) -> int:
    match args.action:
        case "list":
            return run_command(
                args, lambda orion: orion.dead_letters(queue=args.queue, limit=args.limit), dead_letter_list
            )
        case "show":
            return run_command(args, lambda orion: orion.dead_letter(args.id), dead_letter_page)
    return run_command(args, lambda orion: _each(orion, args), lambda found: _done(args.action, found))


async def _each(orion: OrionApi, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One after the other; what failed stops it, and what was done is done."""
    if not args.ids and not args.queue:
        raise NothingNamed
    ids = list(args.ids)
    if args.queue:
        ids += [one["id"] for one in (await orion.dead_letters(queue=args.queue, limit=MOST))["items"]]
    act = orion.replay if args.action == "replay" else orion.drop
    return [await act(id) for id in dict.fromkeys(ids)]


def _done(action: str, found: list[dict[str, Any]]) -> str:
    done = "back in" if action == "replay" else "dropped, from"
    return "\n".join(f"{one['id']}  {done} {one['queue']}" for one in found) or "no dead letters"
