"""Tasks as child processes under the shim, for trusted tasks only.

A child process has its own session, a scrubbed environment and the limits that the system allows, but it sees the
machine's files and network as the agent's user does. Code that nobody trusts needs a container.
"""

import asyncio
import os
from pathlib import Path
from typing import ClassVar

from studio9_task.environment import task_environment
from studio9_task.exits import TaskState, task_state
from studio9_task.launch import LaunchError, launch, renew_lease, request_stop
from studio9_task.layout import TaskFolder
from studio9_task.shim_task import Limits
from studio9_worker.lease import AttemptKey
from studio9_worker.runners.port import Launch, Login, RunnerError
from studio9_worker.runners.threads import thread_variables

NO_IMAGES = "this worker runs child processes only; the image needs one with containers"


class ProcessRunner:
    """Runs `command` with the task's folder as last argument, its programs in `binaries`."""

    name: ClassVar[str] = "process"
    isolated: ClassVar[bool] = False

    def __init__(self, command: tuple[str, ...], binaries: Path) -> None:
        self._command = command
        self._binaries = binaries

    async def bring(self, key: AttemptKey, image: str, login: Login | None) -> None:
        """There are no images for child processes."""
        raise RunnerError(NO_IMAGES)

    async def start(self, launch: Launch) -> None:
        if launch.image is not None:
            raise RunnerError(NO_IMAGES)
        await asyncio.to_thread(self._start, launch)

    def _start(self, given: Launch) -> None:
        limits = Limits(
            time_limit_s=given.time_limit_s,
            disconnect_grace_s=given.disconnect_grace_s,
            stop_grace_s=given.stop_grace_s,
            memory_bytes=given.memory_bytes,
            file_bytes=given.file_bytes,
            log_bytes=given.log_bytes,
            flood_bytes=given.flood_bytes,
            nice=given.nice,
        )
        environment = process_environment(given, self._binaries)
        given.place()
        try:
            launch(given.folder, (*self._command, str(given.folder.root)), limits, environment)
        except LaunchError as error:
            # An agent that died while starting it finds it at work: that is what was wanted.
            if task_state(given.folder).state not in ("running", "ended"):
                raise RunnerError(str(error)) from error

    async def find(self, folder: TaskFolder) -> TaskState:
        return await asyncio.to_thread(task_state, folder)

    async def renew(self, folder: TaskFolder) -> None:
        if await asyncio.to_thread(folder.shim.is_dir):
            await asyncio.to_thread(renew_lease, folder)

    async def stop(self, folder: TaskFolder, grace_s: float | None = None) -> None:
        if await asyncio.to_thread(folder.shim.is_dir):
            await asyncio.to_thread(request_stop, folder, grace_s)

    async def remove(self, key: AttemptKey) -> None:
        """Nothing: a child process leaves its folder only."""

    async def list(self) -> list[AttemptKey]:
        return []


def process_environment(given: Launch, binaries: Path) -> dict[str, str]:
    """The whole environment of a task: nothing of the agent's own, no GPU but its slot's."""
    environment = task_environment(given.folder, given.threads, binaries)
    environment |= thread_variables(given.threads)
    environment["CUDA_VISIBLE_DEVICES"] = ",".join(given.gpus)
    # A user without an entry in the system's table has no name, and some libraries insist on one.
    environment["USER"] = environment["LOGNAME"] = f"studio9-{os.getuid()}"
    return environment
