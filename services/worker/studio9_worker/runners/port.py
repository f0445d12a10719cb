"""What the agent asks of whatever runs its tasks: a child process or a container.

Every runner starts the task under the shim (`studio9_task.shim`), so a task's folder alone says where it stands; a
runner finds its tasks by folder, lock and record, or by labels (installation, worker, job, fence), never by PID.
Tasks outlive the agent.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from studio9_common.errors import Studio9Error
from studio9_task.exits import TaskState
from studio9_task.layout import TaskFolder
from studio9_worker.lease import AttemptKey


class RunnerError(Studio9Error):
    """The task could not be started on this worker; look at its log and its runner."""

    code = "runner_error"


class ImageMissing(RunnerError):
    """The image is not to be had; check its name and digest."""

    code = "image_missing"


class ImageUnusable(RunnerError):
    """The image cannot run a task; it needs python3 with studio9_task, and the program studio9-task."""

    code = "image_unusable"


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks a registry of images. It is in memory only: nothing writes it down or shows it."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Launch:
    """One task to start. `request` is what its request.json says; `image` is a digest, None for the trainers'
    environment; `gpus` are device ids; times are seconds, sizes bytes. `threads` is set in the environment before
    anything of the task runs. Of its output `log_bytes` are kept, and `flood_bytes` end it; `disk_bytes` limit all that
    it writes together."""

    key: AttemptKey
    folder: TaskFolder
    request: bytes
    image: str | None
    threads: int
    gpus: tuple[str, ...]
    time_limit_s: float
    disconnect_grace_s: float
    stop_grace_s: float
    memory_bytes: int | None
    file_bytes: int | None
    log_bytes: int
    nice: int
    flood_bytes: int | None = None
    disk_bytes: int | None = None

    def place(self) -> None:
        """Makes the task's folders and writes its request; blocks. Nothing is synced: a task that was not seen to start
        before the power failed is staged again. Raises OSError."""
        self.folder.make()
        self.folder.request.write_bytes(self.request)


class Runner(Protocol):
    """See the module's docstring. Every method may be repeated; none waits for the task."""

    name: ClassVar[str]
    """As beats announce it: process, container."""
    isolated: ClassVar[bool]
    """Whether a task that nobody trusts may run here."""

    async def bring(self, key: AttemptKey, image: str, login: Login | None) -> None:
        """Gets the image that a task brings onto this machine, by its digest or id, and keeps it there until `remove`.

        Raises RunnerError and ImageMissing.
        """
        ...

    async def start(self, launch: Launch) -> None:
        """Places the launch, and returns once the shim owns the task; a task that is already there is left alone.

        Raises RunnerError (nothing runs), ImageMissing, ImageUnusable, and OSError where the folder could not be laid
        out.
        """
        ...

    async def find(self, folder: TaskFolder) -> TaskState:
        """Where a task stands: absent, running, ended with its record, or lost."""
        ...

    async def renew(self, folder: TaskFolder) -> None:
        """Tells the shim that the task's lease was renewed."""
        ...

    async def stop(self, folder: TaskFolder, grace_s: float | None = None) -> None:
        """SIGTERM now, SIGKILL after the grace (None: the stop grace that the task was started with)."""
        ...

    async def remove(self, key: AttemptKey) -> None:
        """Removes what the runner itself keeps of an ended task (a container, a volume); its folder stays."""
        ...

    async def list(self) -> list[AttemptKey]:
        """The attempts of this worker of which the runner keeps something."""
        ...
