"""The agent's side of the shim: start one, renew its lease, tell it to stop."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from studio9_task.errors import TaskContractError
from studio9_task.layout import TaskFolder
from studio9_task.outputs import write_bytes
from studio9_task.shim import BUSY, DONE
from studio9_task.shim_task import Limits


class LaunchError(TaskContractError):
    """The task could not be started: see the message, and the worker's log."""


def shim_options(limits: Limits) -> list[str]:
    """A shim's options for these limits."""
    options = {
        "--time-limit": limits.time_limit_s,
        "--disconnect-grace": limits.disconnect_grace_s,
        "--stop-grace": limits.stop_grace_s,
        "--memory-limit": limits.memory_bytes,
        "--address-space-limit": limits.address_space_bytes,
        "--file-limit": limits.file_bytes,
        "--log-limit": limits.log_bytes,
        "--flood-limit": limits.flood_bytes,
        "--nice": limits.nice,
        "--poll": limits.poll_s,
    }
    return [f"{name}={value}" for name, value in options.items() if value is not None]


def shim_command(folder: TaskFolder, command: Sequence[str], limits: Limits, detach: bool) -> list[str]:
    """The command line of a shim."""
    given = shim_options(limits)
    head = [sys.executable, "-m", "studio9_task.shim", *given, *(["--detach"] if detach else [])]
    return [*head, str(folder.root), "--", *command]


def launch(
    folder: TaskFolder,
    command: Sequence[str],
    limits: Limits,
    environment: Mapping[str, str],
    wait_s: float = 30,
) -> None:
    """Start `command` under a detached shim with this environment alone; returns once the shim owns it.

    Blocks for a tenth of a second or so. The shim goes on when this process dies. Raises LaunchError when the
    folder has had its task, has one at work, or no shim could be started.
    """
    folder.make()
    renew_lease(folder)
    try:
        done = subprocess.run(
            shim_command(folder, command, limits, detach=True),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=wait_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"No shim could be started: {error}.") from None
    if done.returncode == BUSY:
        raise LaunchError(f"{folder.root.name} has a task at work: wait for it or stop it.")
    if done.returncode == DONE:
        raise LaunchError(f"{folder.root.name} has had its task: use a new folder.")
    if done.returncode != 0:
        raise LaunchError(f"The shim failed ({done.returncode}): {done.stderr.decode(errors='replace')[-500:]}")


def renew_lease(folder: TaskFolder) -> None:
    """Tell the shim that the agent is there and the task is wanted."""
    folder.lease.touch()


def request_stop(folder: TaskFolder, grace_s: float | None = None) -> None:
    """Tell the shim to end the task: SIGTERM, a grace, SIGKILL. Any number of times; the first one counts.

    `grace_s` (seconds, at most MAX_STOP_GRACE_S) takes the place of the stop grace that the task was started with.
    """
    if grace_s is not None:
        with suppress(OSError):  # a full disk takes no content; then the stop matters more than its grace
            write_bytes(folder.stop, f"{grace_s:g}".encode())
    folder.stop.touch()
