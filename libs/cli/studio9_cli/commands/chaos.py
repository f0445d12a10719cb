"""Break a platform on real servers by seed and judge it: `chaos --minutes M [--seed S] [--json FILE]`.

RabbitMQ, Elasticsearch, Aries, two Orions and three workers run as processes of their own; they are killed, frozen,
cut off and restarted while jobs run. Ends with 1 if a job was lost, doubled or stuck, or anything was left behind,
with 3 when a server cannot be had. `--record FILE` keeps a report (of this, of simulate or of bench) for the fault
ledger, `--ledger` writes it.
"""

import argparse
import asyncio
import json
import logging
import random
import sys
from pathlib import Path

from studio9_cli.chaos.campaign import Options, campaign
from studio9_cli.chaos.checker import SORTS
from studio9_cli.chaos.ledger import write_ledger
from studio9_cli.chaos.pace import HURRIED, PRODUCTION
from studio9_cli.chaos.platform import CannotRun, scratch
from studio9_cli.chaos.records import record
from studio9_cli.chaos.report import in_words
from studio9_cli.servers.processes import ProcessEnded
from studio9_common.logs import configure_logs

JOBS_A_MINUTE = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--minutes", type=float, default=2.0, help="how long faults go on (default 2)")
    parser.add_argument("--seed", type=int, help="which jobs and faults (default: one at random, which is printed)")
    parser.add_argument("--jobs", type=int, help=f"how many jobs ({JOBS_A_MINUTE} a minute)")
    parser.add_argument("--production", action="store_true", help="with production's times instead of hurried ones")
    parser.add_argument("--no-proxies", action="store_true", help="leave out the faults of connections")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the services' logs and folders here")
    parser.add_argument("--record", type=Path, action="append", default=[], metavar="FILE", help="keep a report")
    parser.add_argument("--ledger", action="store_true", help="write docs/operations/fault-ledger.md")


def run(args: argparse.Namespace) -> int:
    """0 when nothing was lost, doubled, stuck or left behind."""
    if args.record or args.ledger:
        for file in args.record:
            print(record(file))
        print(write_ledger())
        return 0
    options = Options(
        minutes=args.minutes,
        seed=random.randrange(10**6) if args.seed is None else args.seed,
        jobs=int(JOBS_A_MINUTE * args.minutes) if args.jobs is None else args.jobs,
        pace=PRODUCTION if args.production else HURRIED,
        proxied=not args.no_proxies,
    )
    print(f"seed {options.seed}", flush=True)
    # What is broken on purpose is no news here.
    configure_logs("error", "console")
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        report = _in_folder(args.keep, options)
    except (CannotRun, ProcessEnded) as error:
        print(f"studio9: cannot run: {error}", file=sys.stderr)
        return 3
    print("\n".join(in_words(report)))
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 1 if any(report[sort] for sort in SORTS) else 0


def _in_folder(keep: Path | None, options: Options) -> dict[str, object]:
    if keep is not None:
        keep.mkdir(parents=True)
        keep.chmod(0o711)
        return asyncio.run(campaign(options, keep.absolute(), _say))
    with scratch() as folder:
        return asyncio.run(campaign(options, folder, _say))


def _say(text: str) -> None:
    print(text, flush=True)
