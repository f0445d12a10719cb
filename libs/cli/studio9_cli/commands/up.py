"""Run the whole platform in one process on embedded parts, until Ctrl-C or SIGTERM.

Baile, the public API, answers on --port; each service's own API for operators on another port, which `studio9 sql` and
other commands find through the state folder. Everything is kept in the state folder; a second start goes on from there.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from studio9_cli.platform.run import Options, platform
from studio9_cli.project import commit, environment_python
from studio9_common.errors import Studio9Error
from studio9_common.logs import configure_logs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, default=Path("state"), help="folder for everything it keeps")
    parser.add_argument("--port", type=int, default=20016, help="Baile's port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--ui-dir", type=Path, help="folder of a built web UI to serve at /")
    parser.add_argument("--buckets-endpoint", default="", help="S3 server of users' buckets, if not AWS")
    parser.add_argument("--otlp-url", default="", help="OpenTelemetry collector that gets spans, http://host:4318")
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    parser.add_argument("--log-format", default="console", choices=("console", "json"))


def run(args: argparse.Namespace) -> int:
    configure_logs(args.log_level, args.log_format)
    options = Options(
        state=args.state,
        trainers_python=environment_python("trainers"),
        commit=commit(),
        port=args.port,
        ui_dir=args.ui_dir,
        otlp_url=args.otlp_url,
        buckets_endpoint=args.buckets_endpoint,
    )
    try:
        asyncio.run(serve(options))
    except (Studio9Error, OSError) as error:
        print(f"studio9: {error}", file=sys.stderr)
        return 1
    return 0


async def serve(options: Options) -> None:
    """Serves until a signal; a second one while stopping does not cut the stop short."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    async with platform(options) as running:
        print(f"studio9: Baile answers on {running.baile}; Ctrl-C stops", file=sys.stderr, flush=True)
        await stopped.wait()
        with contextlib.suppress(ValueError):
            print("studio9: stopping", file=sys.stderr, flush=True)
