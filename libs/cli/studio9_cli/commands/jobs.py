"""List, explain, cancel, retry and move the jobs of a running platform.

    studio9 jobs list [--only STATE] [--waiting]     studio9 jobs cancel JOB
    studio9 jobs show JOB                            studio9 jobs retry JOB
    studio9 jobs events JOB                          studio9 jobs priority JOB NUMBER

`show` prints the state and why, each attempt, each event of the job's life, and its last log lines.
"""

import argparse
import getpass
from typing import Any

from studio9_cli.operators.connection import add_connection, run_command
from studio9_cli.operators.job_page import events, job_list, job_page
from studio9_cli.operators.orion import OrionApi

STATES = ("submitted", "queued", "running", "completed", "failed", "cancelled")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="jobs, the newest first, and why each that waits does")
    listed.add_argument("--only", choices=STATES, help="jobs in this state")
    listed.add_argument("--kind", help="jobs of this kind, such as train")
    listed.add_argument("--worker", help="jobs that this worker has")
    listed.add_argument("--waiting", action="store_true", help="jobs that wait for a slot, the first to come first")
    listed.add_argument("--limit", type=int, default=50, help="how many at most")
    add_connection(listed)
    shown = _on_one_job(actions, "show", "all that is known of a job")
    shown.add_argument("--lines", type=int, default=20, help="log lines at most; 0: none")
    _on_one_job(actions, "events", "a job's life-cycle events")
    _on_one_job(actions, "cancel", "end a job; it leaves a checkpoint if it can")
    _on_one_job(actions, "retry", "a new job like one that has ended, from its last checkpoint")
    moved = _on_one_job(actions, "priority", "move a job within its organisation's queue")
    moved.add_argument("priority", type=int, help="the larger the earlier; 0 is usual")


def run(args: argparse.Namespace) -> int:
    by = f"operator {getpass.getuser()}"

    async def listed(orion: OrionApi) -> Any:
        wanted = {} if args.waiting else {"state": args.only, "kind": args.kind, "worker": args.worker}
        return await orion.jobs(waiting=args.waiting, limit=args.limit, **wanted)

    match args.action:
        case "list":
            return run_command(args, listed, job_list)
        case "show":
            return run_command(args, lambda orion: orion.job(args.job, lines=args.lines), job_page)
        case "events":
            return run_command(args, lambda orion: orion.events(args.job), events)
        case "cancel":
            return run_command(args, lambda orion: orion.cancel(args.job, by), _cancelled)
        case "retry":
            return run_command(args, lambda orion: orion.retry(args.job), lambda found: f"new job {found['job']}")
    return run_command(args, lambda orion: orion.priority(args.job, args.priority, by), _moved)


def _on_one_job(actions: Any, name: str, meaning: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=meaning)
    parser.add_argument("job", help="the job's id")
    add_connection(parser)
    return parser


def _cancelled(found: dict[str, Any]) -> str:
    if found["answer"] == "too_late":
        return f"it finished first: {found['state']}"
    return f"{found['state']} (phase {found['phase']})"


def _moved(found: dict[str, Any]) -> str:
    return f"priority {found['priority']}" + ("" if found["changed"] else ", as before")
