"""Tasks in containers of the Docker Engine, for code that nobody trusts.

The container outlives the agent: its name and labels tell a successor whose it is. Engine and task folder together
say where a task stands; the engine's facts count more than what a container says of itself. While the engine does not
answer, a task that was started is taken to be running.
"""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from studio9_common.logs import logger
from studio9_task.clock import elapsed, now
from studio9_task.exits import TaskState, task_state
from studio9_task.launch import renew_lease, request_stop
from studio9_task.layout import TaskFolder
from studio9_task.outputs import write_bytes
from studio9_task.shim_files import told_grace
from studio9_worker.lease import AttemptKey
from studio9_worker.runners.disks import Disks
from studio9_worker.runners.engine import Container, Engine, EngineAway, Image
from studio9_worker.runners.facts import Verdict, exit_record
from studio9_worker.runners.images import ImageStore
from studio9_worker.runners.port import ImageUnusable, Launch, Login, RunnerError
from studio9_worker.runners.sealing import Program, Room, container_body, question_body
from studio9_worker.runners.usage import over

DISK_EVERY_S = 2.0
PATIENCE_S = 10.0
"""How much later than the shim the agent itself ends a task that is over its time or does not stop."""
LABEL = "studio9."
OWN_IMAGE = f"{LABEL}own_image"
NO_PROGRAM = re.compile(r"executable file not found|no such file or directory", re.IGNORECASE)
"""How the engine says that an image lacks the program that it was told to start."""
LIMITS = ("time_limit_s", "stop_grace_s", "disk_bytes")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose containers these are; an agent touches no others."""

    installation: str
    worker: str

    @property
    def labels(self) -> dict[str, str]:
        """What each of them carries."""
        return {f"{LABEL}installation": self.installation, f"{LABEL}worker": self.worker}

    def name(self, attempt: str) -> str:
        """The container's name of an attempt (`job.fence`)."""
        return re.sub(r"[^a-zA-Z0-9_.-]", "-", f"studio9-{self.installation}-{self.worker}-{attempt}")


@dataclass(slots=True)
class _Watch:
    """What this agent remembers of a running container, by the clock that counts through a suspended machine."""

    since: float = field(default_factory=elapsed)
    stop_since: float | None = None
    disk_at: float = 0.0


class ContainerRunner:
    """Runs `program` from `image`, or an image of the job's own, which then has everything in it."""

    name: ClassVar[str] = "container"
    isolated: ClassVar[bool] = True

    def __init__(
        self,
        engine: Engine,
        image: Image,
        program: Program,
        room: Room,
        owner: Owner,
        images: ImageStore,
        disks: Disks | None = None,
    ) -> None:
        self.engine = engine
        self._disks = disks
        self._images = images
        self._image = image
        self._program = program
        self._room = room
        self._owner = owner
        self._watches: dict[str, _Watch] = {}
        self._log = logger("worker")

    def close(self) -> None:
        """Closes the connections to the engine; tasks go on."""
        self.engine.close()

    async def bring(self, key: AttemptKey, image: str, login: Login | None) -> None:
        await asyncio.to_thread(self._images.bring, f"{key.job}.{key.fence}", image, login)

    async def start(self, launch: Launch) -> None:
        await asyncio.to_thread(self._start, launch)

    def _start(self, launch: Launch) -> None:
        own = launch.image is not None
        image = self._image if launch.image is None else self.engine.local_image(launch.image)
        name = self._name(launch.folder)
        launch.place()
        if self._disks is not None and launch.disk_bytes is not None:
            self._disks.make(launch.folder, launch.disk_bytes, self._room.user)
        prepare(launch.folder, self._room.user)
        body = container_body(launch, image, self._program_of(own), self._room, self._labels(launch))
        self.engine.create(name, body)
        # Written between the two: a container that was not started has no mark, one that was always has.
        write_bytes(launch.folder.lock, json.dumps({"started": now(), "container": name, "image": image.id}).encode())
        try:
            self.engine.start(name)
        except EngineAway:
            raise
        except RunnerError as error:
            with suppress(RunnerError):
                self.engine.remove(name)
            launch.folder.lock.unlink(missing_ok=True)
            if own and NO_PROGRAM.search(error.message):
                raise ImageUnusable(f"The image cannot run a task: it has no {self._program_of(own).python}.") from None
            raise

    def _program_of(self, own: bool) -> Program:
        return Program() if own else self._program

    def ask(self, *arguments: str, within_s: float) -> tuple[int, bytes]:
        """What the program of jobs without an image answers to these arguments: exit code and standard output.

        Blocks. Raises RunnerError.
        """
        name = self._owner.name("question")
        labels = {f"{LABEL}installation": self._owner.installation, f"{LABEL}question": self._owner.worker}
        self.engine.remove(name)
        self.engine.create(name, question_body(self._image, self._program, self._room, arguments, labels))
        try:
            self.engine.start(name)
            return self.engine.answer(name, within_s)
        finally:
            self.engine.remove(name)

    def _labels(self, launch: Launch) -> dict[str, str]:
        own = {"job": launch.key.job, "fence": launch.key.fence} | {name: getattr(launch, name) for name in LIMITS}
        labels = {f"{LABEL}{name}": str(value) for name, value in own.items() if value is not None}
        image = {} if launch.image is None else {OWN_IMAGE: launch.image}
        return self._owner.labels | labels | image

    async def find(self, folder: TaskFolder) -> TaskState:
        return await asyncio.to_thread(self._find, folder)

    def _find(self, folder: TaskFolder) -> TaskState:
        known = task_state(folder)
        if known.state == "ended":
            return known
        begun = known.state != "absent"
        name = self._name(folder)
        try:
            container = self.engine.find(name)
            if container is None:
                return TaskState("lost" if begun else "absent")
            if container.status == "created":
                return TaskState("absent")
            if container.runs:
                self._guard(folder, name, container)
                return TaskState("running")
            return self._ended(folder, name, container)
        except EngineAway as error:
            self._log.warning("engine_away", container=name, reason=error.message)
            return TaskState("running" if begun else "absent")

    def _ended(self, folder: TaskFolder, name: str, container: Container) -> TaskState:
        self._watches.pop(name, None)
        if self._disks is not None:
            self._disks.find(folder)
        stop_asked = folder.stop.exists()
        own_image = OWN_IMAGE in container.labels
        output = self.engine.output(name)
        record = exit_record(container, output, _verdict(folder), stop_asked=stop_asked, own_image=own_image)
        if record is None or not folder.shim.is_dir():
            return TaskState("lost")
        if record.ending == "exited" and record.exit_code != 0 and self._disks is not None and self._disks.full(folder):
            limit = int(_limits(container.labels).get("disk_bytes", 0))
            record = record.model_copy(update={"ending": "disk_limit", "detail": filled(limit)})
        write_bytes(folder.exit, record.model_dump_json().encode())
        return TaskState("ended", record)

    def _guard(self, folder: TaskFolder, name: str, container: Container) -> None:
        """Ends what the shim should have ended, or cannot see."""
        watch, moment = self._watches.setdefault(name, _Watch()), elapsed()
        limits = _limits(container.labels)
        grace_s = limits.get("stop_grace_s", 0.0)
        late_s = limits.get("time_limit_s", float("inf")) + grace_s + PATIENCE_S
        if moment - watch.since > late_s:
            self._end(folder, name, Verdict("time_limit", "it did not end at its time limit"))
        if folder.stop.exists():
            watch.stop_since = moment if watch.stop_since is None else watch.stop_since
            if moment - watch.stop_since > told_grace(folder.stop, grace_s) + PATIENCE_S:
                self.engine.kill(name)
        if self._disks is not None and self._disks.has(folder):
            if self._disks.full(folder):
                self._end(folder, name, Verdict("disk_limit", filled(int(limits["disk_bytes"]))))
        elif "disk_bytes" in limits and moment - watch.disk_at >= DISK_EVERY_S:
            watch.disk_at = moment
            written = (folder.outputs, folder.scratch, folder.events, folder.log)
            if (detail := over(written, int(limits["disk_bytes"]))) is not None:
                self._end(folder, name, Verdict("disk_limit", detail))

    def _end(self, folder: TaskFolder, name: str, verdict: Verdict) -> None:
        if folder.shim.is_dir():
            write_bytes(_verdict_path(folder), json.dumps(asdict(verdict)).encode())
        self.engine.kill(name)

    async def renew(self, folder: TaskFolder) -> None:
        if await asyncio.to_thread(folder.shim.is_dir):
            await asyncio.to_thread(renew_lease, folder)

    async def stop(self, folder: TaskFolder, grace_s: float | None = None) -> None:
        if await asyncio.to_thread(folder.shim.is_dir):
            await asyncio.to_thread(request_stop, folder, grace_s)
        else:  # a container whose folder is gone: nobody inside hears of it
            await asyncio.to_thread(self.engine.kill, self._name(folder))

    async def remove(self, key: AttemptKey) -> None:
        attempt = f"{key.job}.{key.fence}"
        await asyncio.to_thread(self.engine.remove, self._owner.name(attempt))
        await asyncio.to_thread(self._images.release, attempt)
        if self._disks is not None:
            await asyncio.to_thread(self._disks.remove, attempt)

    async def list(self) -> list[AttemptKey]:
        labelled = await asyncio.to_thread(self.engine.labelled, self._owner.labels)
        found = {AttemptKey(one[f"{LABEL}job"], int(one[f"{LABEL}fence"])) for one in labelled}
        if self._disks is not None:
            names = await asyncio.to_thread(self._disks.names)
            found |= {AttemptKey(job, int(fence)) for job, _, fence in (name.rpartition(".") for name in names)}
        return sorted(found)

    def _name(self, folder: TaskFolder) -> str:
        return self._owner.name(folder.root.name)


def filled(limit: int) -> str:
    """What a task did that used up its file system."""
    return f"it filled its disk; {limit} are allowed"


def prepare(folder: TaskFolder, user: tuple[int, int]) -> None:
    """Makes the folder's parts, and gives the task those that it writes to."""
    folder.make()
    renew_lease(folder)
    for path in (folder.events, folder.log):
        path.touch(exist_ok=True)
    if os.geteuid() == 0:
        for path in (folder.outputs, folder.scratch, folder.events, folder.log):
            os.chown(path, *user, follow_symlinks=False)


def _verdict_path(folder: TaskFolder) -> Path:
    return folder.shim / "verdict.json"


def _verdict(folder: TaskFolder) -> Verdict | None:
    try:
        return Verdict(**json.loads(_verdict_path(folder).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _limits(labels: Mapping[str, str]) -> dict[str, float]:
    return {name: float(labels[f"{LABEL}{name}"]) for name in LIMITS if f"{LABEL}{name}" in labels}
