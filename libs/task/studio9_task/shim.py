"""The shim: owns one task's process, outlives the agent that began it, and writes down how it ended.

    python -m studio9_task.shim FOLDER [options] -- COMMAND...

It holds a lock on `shim/lock` while it lives and writes `shim/exit.json` before it goes; an agent that
starts anew needs nothing else (see studio9_task.exits). It ends the task at its time limit, when a file
`shim/stop` appears or it gets SIGTERM, when `shim/lease` has not changed for the disconnect grace, and over
its memory limit: SIGTERM, a grace, then SIGKILL to all that the task ever started. A stop file may hold the
seconds of grace; an empty one means those the task was started with. Standard library only.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from studio9_task.clock import now
from studio9_task.shim_files import Lock
from studio9_task.shim_task import Limits, ShimTask

BUSY = 75
"""Exit code: another shim has the folder."""
DONE = 73
"""Exit code: the folder has had its task."""


def main(arguments: list[str] | None = None) -> int:
    """Run a task under a shim; 0 once its end is recorded (detached: once it is owned), else BUSY or DONE."""
    options = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    folder = Path(options.folder).resolve() / "shim"
    folder.mkdir(parents=True, exist_ok=True)
    verdict: int | None = None
    if options.detach:
        verdict, code = _detach()
        if verdict is None:
            return code
    with Lock(folder / "lock") as lock:
        if not lock.taken:
            return _tell(verdict, BUSY)
        if (folder / "exit.json").exists():
            return _tell(verdict, DONE)
        lock.write(json.dumps({"started": now(), "pid": os.getpid(), "command": options.command}))
        _tell(verdict, 0)
        ShimTask(folder, options.command, limits_of(options), options.cgroup).run()
    return 0


def _detach() -> tuple[int | None, int]:
    """Go on in a process that nobody waits for: there (pipe, 0), in the first process (none, the verdict)."""
    reading, writing = os.pipe()
    if first := os.fork():
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            verdict = pipe.read()
        os.waitpid(first, 0)
        return None, int(verdict or b"70")
    os.close(reading)
    os.setsid()
    if os.fork():
        os._exit(0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    return writing, 0


def _tell(verdict: int | None, code: int) -> int:
    if verdict is not None:
        os.write(verdict, str(code).encode())
        os.close(verdict)
    return code


def parser() -> argparse.ArgumentParser:
    """The options of every shim."""
    defaults = Limits()
    made = argparse.ArgumentParser(prog="python -m studio9_task.shim", description="Own one task's process.")
    made.add_argument("folder", help="the task's folder")
    made.add_argument("command", nargs="+", help="the task's command, after --")
    made.add_argument("--detach", action="store_true", help="return once the task is owned; go on alone")
    made.add_argument("--time-limit", type=float, metavar="S")
    made.add_argument("--disconnect-grace", type=float, metavar="S", help="end the task so long after the last lease")
    made.add_argument("--stop-grace", type=float, metavar="S", default=defaults.stop_grace_s)
    made.add_argument("--memory-limit", type=int, metavar="BYTES", help="of all its processes together")
    made.add_argument("--address-space-limit", type=int, metavar="BYTES", help="of each process")
    made.add_argument("--file-limit", type=int, metavar="BYTES", help="of each file it writes")
    made.add_argument("--log-limit", type=int, metavar="BYTES", default=defaults.log_bytes)
    made.add_argument("--flood-limit", type=int, metavar="BYTES", help="of output, kept or not; more ends the task")
    made.add_argument("--nice", type=int, default=defaults.nice)
    made.add_argument("--poll", type=float, metavar="S", default=defaults.poll_s)
    own = "/sys/fs/cgroup" if os.getpid() == 1 else None  # the first process of a container sees its own group
    made.add_argument("--cgroup", metavar="FOLDER", default=own, help="the task's own control group")
    return made


def limits_of(options: argparse.Namespace) -> Limits:
    """The limits that the options name."""
    return Limits(
        time_limit_s=options.time_limit,
        disconnect_grace_s=options.disconnect_grace,
        stop_grace_s=options.stop_grace,
        memory_bytes=options.memory_limit,
        address_space_bytes=options.address_space_limit,
        file_bytes=options.file_limit,
        log_bytes=options.log_limit,
        flood_bytes=options.flood_limit,
        nice=options.nice,
        poll_s=options.poll,
    )


if __name__ == "__main__":
    sys.exit(main())
