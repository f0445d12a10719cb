"""Make this machine a worker of a platform, change how many tasks it runs at once, and stop it.

    studio9 worker up --join TOKEN --url URL [--slots N]     studio9 worker scale N
    studio9 worker up                                        studio9 worker down [--wait SECONDS | --hand-back | --now]
    studio9 worker status

An operator makes the token (`studio9 workers token`); it is used once. From then on the state folder knows who this
machine is, so it starts again without one. GPUs get a slot each; `--slots` counts tasks on the processor alone.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio9_cli.agent.folder import AgentFolder, AgentOptions, NoAgent
from studio9_cli.agent.local import LocalAgent
from studio9_cli.agent.process import AgentRuns, free_port, run_here, start, stop
from studio9_common.errors import BadInput, Studio9Error
from studio9_worker.joining.membership import join

WAIT_S = 3600.0


class StillWorking(Studio9Error):
    """The worker still has tasks, goes on with them and takes no new one; wait longer, or give --hand-back or --now."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    up = actions.add_parser("up", help="start the worker; the first time with a join token")
    up.add_argument("--join", metavar="TOKEN", help="one-time token; - reads it from the standard input")
    up.add_argument("--url", help="Orion's address, for --join")
    up.add_argument("--slots", type=int, help="tasks at once on the processor (1); each GPU has a slot of its own")
    up.add_argument("--labels", help="what jobs may ask of this worker, separated by commas")
    up.add_argument("--image", help="image of the tasks, such as trainers:0.1.0; without one they are child processes")
    up.add_argument("--mount-trainers", action="store_true", default=None, help="the image is a base only (see how-to)")
    up.add_argument("--runner", choices=("auto", "container", "process"), help="container: never a child process")
    up.add_argument("--host", help="address of its health, metrics and status (127.0.0.1)")
    up.add_argument("--foreground", action="store_true", help="do not return: for systemd and the like")
    scale = actions.add_parser("scale", help="so many tasks at once on the processor; running ones go on")
    scale.add_argument("slots", type=int, help="0 to 64")
    down = actions.add_parser("down", help="finish what it has, then stop")
    how = down.add_mutually_exclusive_group()
    how.add_argument("--wait", type=float, default=WAIT_S, metavar="SECONDS", help="for its tasks (3600)")
    how.add_argument("--hand-back", action="store_true", help="stop its tasks at a checkpoint; they go on elsewhere")
    how.add_argument(
        "--now", action="store_true", help="stop the agent alone: its tasks go on, the next `up` finds them"
    )
    status = actions.add_parser("status", help="what the worker on this machine does")
    for one in (up, scale, down, status):
        one.add_argument("--state", type=Path, default=Path("worker-state"), help="folder for everything it keeps")


def run(args: argparse.Namespace) -> int:
    folder = AgentFolder(args.state)
    work: Coroutine[Any, Any, None]
    match args.action:
        case "up":
            work = _up(folder, args)
        case "scale":
            work = _scale(folder, args.slots)
        case "down":
            work = _down(folder, args)
        case _:
            work = _status(folder)
    try:
        asyncio.run(work)
        if args.action == "up" and args.foreground:
            options = _options(folder.options(), args)
            run_here(folder, options, free_port(options.host))
    except Studio9Error as error:
        print(f"studio9: {error.line}", file=sys.stderr)
        return 1
    return 0


async def _up(folder: AgentFolder, args: argparse.Namespace) -> None:
    options = _options(folder.options(), args)
    try:
        raise AgentRuns(
            f"a worker runs here already (process {folder.running().pid})", field="state", value=folder.path
        )
    except NoAgent:
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = (sys.stdin.readline() if args.join == "-" else args.join or "").strip()
    if token and not args.url:
        raise BadInput("--join needs --url, Orion's address", field="url")
    identity = await join(folder.path, url=(args.url or "").rstrip("/"), token=token, check=True)
    assert identity.joined is not None
    print(
        f"studio9: this machine is worker {identity.joined.worker} of {identity.joined.installation}", file=sys.stderr
    )
    if not args.foreground:
        agent = await start(folder, options)
        folder.keep(replace(options, resume=False))
        await _tell(agent)


async def _scale(folder: AgentFolder, slots: int) -> None:
    options = replace(folder.options(), slots=_checked(slots))
    folder.running()
    await stop(folder)
    await _tell(await start(folder, options))


async def _down(folder: AgentFolder, args: argparse.Namespace) -> None:
    agent = LocalAgent(folder, folder.running())
    if not args.now:
        await agent.drain(hand_back=args.hand_back)
        folder.keep(replace(folder.options(), resume=True))
        if not await agent.empty(args.wait):
            raise StillWorking
    await stop(folder)
    print("studio9: stopped", file=sys.stderr)


async def _status(folder: AgentFolder) -> None:
    print(json.dumps(await LocalAgent(folder, folder.running()).status(), indent=2))


async def _tell(agent: LocalAgent) -> None:
    status = await agent.status()
    slots = [one["id"] for one in status["slots"]]
    how = "in containers" if status["runner"] == "container" else "as child processes, which only trusted ones may be"
    print(f"studio9: ready with {', '.join(slots) or 'no slot'}; tasks run {how}", file=sys.stderr)


def _options(kept: AgentOptions, args: argparse.Namespace) -> AgentOptions:
    """What was kept, but for what is given now."""
    given = {
        "slots": None if args.slots is None else _checked(args.slots),
        "labels": args.labels,
        "runner": args.runner,
        "image": args.image,
        "mount_trainers": args.mount_trainers,
        "host": args.host,
    }
    return replace(kept, **{name: value for name, value in given.items() if value is not None})


def _checked(slots: int) -> int:
    if not 0 <= slots <= 64:
        raise BadInput("a worker has 0 to 64 slots on its processor", field="slots", value=slots)
    return slots
