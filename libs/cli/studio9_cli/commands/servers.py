"""Start real servers as the tests do, print their addresses, and keep them until interrupted.

The lines on standard output can be evaluated by a shell in which tests are then run by hand.
"""

import argparse
import signal
import sys
import threading

from studio9_cli.servers.fleet import Fleet, servers
from studio9_cli.testing.summary import server as line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    names = [server.name for server in servers()]
    parser.add_argument(
        "names", nargs="*", choices=[*names, []], metavar="NAME", help=f"of {', '.join(names)}; all without any"
    )


def run(args: argparse.Namespace) -> int:
    """Until interrupted, or told to end by SIGTERM."""
    # A shell that puts a command behind itself lets it ignore interrupts; then nothing would end the servers in order.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    wanted = set(args.names)
    needed = {need for server in servers() if server.name in wanted for need in server.needs}
    chosen = [server for server in servers() if not wanted or server.name in wanted | needed]
    with Fleet(chosen) as fleet:
        for outcome in fleet.outcomes():
            print(line(outcome), file=sys.stderr)
        for variable, address in fleet.addresses().items():
            print(f"export {variable}={address}", flush=True)
        print("studio9: interrupt to end them", file=sys.stderr)
        threading.Event().wait()
    return 0
