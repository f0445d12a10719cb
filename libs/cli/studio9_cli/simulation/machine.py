"""A worker's machine: tasks under their shims, folders, and a disk that outlives the agent.

What a task does follows from its request alone: so many epochs of so many seconds, each ending in a checkpoint, then a
result or a failure. Nothing runs: where a task stands is worked out when somebody looks.
"""

import hashlib
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

from studio9_cli.simulation.loop import VirtualLoop
from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.messages import WorkerResult, WorkerRun
from studio9_task.children import ARTIFACT
from studio9_task.events import Artifact, Checkpoint, Event, Failed, Metric, Progress, Result
from studio9_task.exits import EXIT_USER, ExitRecord, TaskState
from studio9_worker.lease import AttemptKey
from studio9_worker.records import AttemptPhase, AttemptRecord, Cursor, Seen, StopCause
from studio9_worker.runners.port import Launch, Login

_NO_TIME: dict[str, Any] = {"time": "", "sequence": 1}
STOP_GRACE_S = 20.0
"""Between SIGTERM and SIGKILL where a stop does not say; a stubborn task lives until SIGKILL."""


@dataclass(slots=True)
class Task:
    """One task. Times are the simulation's seconds; `ends` is when it ends by itself, and how."""

    began: float
    epoch: int
    epochs: int
    epoch_s: float
    ending: str
    fails_at: float
    grace_s: float
    stubborn: bool
    renewed: float
    children: bytes = b""
    """The file in which it asks for children at its end; empty where it asks for none."""
    stop_at: float | None = None
    stop_grace_s: float = STOP_GRACE_S
    killed_at: float | None = None

    def end(self) -> tuple[float, str]:
        """When it ends as far as is known now, and why."""
        span = (self.epochs - self.epoch) * self.epoch_s
        ends = [(self.began + (span if self.ending == "ok" else span * self.fails_at), self.ending)]
        if self.stop_at is not None:
            ends.append((self.stop_at + (self.stop_grace_s if self.stubborn else 1.0), "stopped"))
        if self.killed_at is not None:
            ends.append((self.killed_at, "lost"))
        ends.append((self.renewed + self.grace_s, "lease_expired"))
        return min(ends)

    def done(self, now: float) -> int:
        """Finished epochs at a moment."""
        until = min(now, self.end()[0])
        return min(self.epochs, self.epoch + int((until - self.began) / self.epoch_s + 1e-9))


class Machine:
    """Tasks and folders of one worker."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.tasks: dict[AttemptKey, Task] = {}
        self.folders: set[AttemptKey] = set()

    def running(self) -> list[AttemptKey]:
        return [key for key, task in self.tasks.items() if task.end()[0] > self.loop.now]

    def crash(self) -> None:
        """The machine loses power: every task is gone, the disk stays."""
        for task in self.tasks.values():
            if task.end()[0] > self.loop.now:
                task.killed_at = self.loop.now


@dataclass(frozen=True)
class Folder:
    """Stands in for a task's folder and for its event file."""

    machine: Machine
    key: AttemptKey

    @property
    def events(self) -> "Folder":
        return self

    @property
    def outputs(self) -> "Folder":
        return self


class Folders:
    """Stands in for `studio9_worker.folders.JobFolders`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def of(self, key: AttemptKey) -> Any:
        return Folder(self._machine, key)

    def list(self) -> list[AttemptKey]:
        return sorted(self._machine.folders)

    def remove(self, key: AttemptKey) -> None:
        self._machine.folders.discard(key)
        self._machine.tasks.pop(key, None)

    def remove_bare(self, key: AttemptKey) -> bool:
        self.remove(key)
        return True


class SimRunner:
    """See `studio9_worker.runners.port.Runner`."""

    name: ClassVar[str] = "process"
    isolated: ClassVar[bool] = False

    def __init__(
        self,
        machine: Machine,
        plan: Callable[[AttemptKey], tuple[WorkerRun, tuple[int, int], bytes]],
        on_begin: Callable[[AttemptKey], None],
    ) -> None:
        self._machine, self._plan, self._on_begin = machine, plan, on_begin

    async def bring(self, key: AttemptKey, image: str, login: Login | None) -> None:
        return None

    async def start(self, launch: Launch) -> None:
        if launch.key in self._machine.tasks:
            return
        self._on_begin(launch.key)
        run, (epoch, epochs), children = self._plan(launch.key)
        given = run.spec.parameters
        endings = given["endings"]
        now = self._machine.loop.now
        self._machine.tasks[launch.key] = Task(
            began=now,
            epoch=epoch,
            epochs=epochs,
            epoch_s=given["epoch_s"],
            ending=endings[min(run.attempt, len(endings)) - 1],
            fails_at=given["fails_at"],
            grace_s=launch.disconnect_grace_s,
            stubborn=given["stubborn"],
            renewed=now,
            children=children,
        )

    async def find(self, folder: Any) -> TaskState:
        task = self._machine.tasks.get(folder.key)
        if task is None:
            return TaskState("absent")
        at, why = task.end()
        if at > self._machine.loop.now:
            return TaskState("running")
        return TaskState("lost") if why == "lost" else TaskState("ended", _record(why))

    async def renew(self, folder: Any) -> None:
        task = self._machine.tasks.get(folder.key)
        if task is not None and task.end()[0] > self._machine.loop.now:
            task.renewed = self._machine.loop.now

    async def stop(self, folder: Any, grace_s: float | None = None) -> None:
        task = self._machine.tasks.get(folder.key)
        if task is not None and task.stop_at is None:
            task.stop_at = self._machine.loop.now
            task.stop_grace_s = STOP_GRACE_S if grace_s is None else grace_s

    async def remove(self, key: AttemptKey) -> None:
        return None

    async def list(self) -> list[AttemptKey]:
        return []


@lru_cache(8)
def _record(why: str) -> ExitRecord:
    ending: Any = "exited" if why in {"ok", "user_error", "crash"} else why
    code = {"ok": 0, "user_error": EXIT_USER, "crash": None}.get(why)
    return ExitRecord.model_construct(
        ending=ending,
        exit_code=code,
        signal=11 if why == "crash" else None,
        started="",
        ended="",
        duration_s=1.0,
        peak_rss_bytes=0,
        out_of_memory=False,
        log_bytes=0,
        log_truncated=False,
        detail="",
    )


class Events:
    """Stands in for `studio9_task.tail.EventReader`: what the task has told since the last look."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._told = -1
        self._ended = False

    def read(self, limit: int = 1000) -> list[Event]:
        machine, key = self._folder.machine, self._folder.key
        task = machine.tasks.get(key)
        if task is None or self._ended:
            return []
        done = task.done(machine.loop.now)
        found: list[Event] = []
        if done > max(self._told, task.epoch):
            sha = content(key, done)
            found.append(
                Progress.model_construct(
                    **_NO_TIME, value=done / task.epochs, remaining_s=None, epoch=done, epochs=None
                )
            )
            found.append(Checkpoint.model_construct(**_NO_TIME, path="last.pt", sha256=sha, size=1, epoch=done, step=0))
        self._told = max(self._told, done)
        at, why = task.end()
        if at <= machine.loop.now:
            self._ended = True
            if why == "ok":
                found.append(
                    Artifact.model_construct(
                        **_NO_TIME, name="result", path="result.json", sha256=content(key, -1), size=1
                    )
                )
                if task.children:
                    sha = content(key, -5)
                    found.append(
                        Artifact.model_construct(**_NO_TIME, name=ARTIFACT, path="children.json", sha256=sha, size=1)
                    )
                found.append(Result.model_construct(**_NO_TIME, summary={"epochs": task.epochs}))
            elif why == "user_error":
                found.append(
                    Failed.model_construct(**_NO_TIME, class_="user", code="bad_input", message="The data is wrong.")
                )
        return found


class Lines:
    """Stands in for the `EventReader` of telemetry: one metric for each finished epoch, at its own place."""

    def __init__(self, folder: Folder, offset: int = 0) -> None:
        self._folder, self.offset = folder, offset

    def read(self, limit: int = 1000) -> list[Event]:
        task = self._folder.machine.tasks.get(self._folder.key)
        if task is None:
            return []
        done = task.done(self._folder.machine.loop.now)
        found: list[Event] = []
        while len(found) < limit and task.epoch + self.offset < done:
            self.offset += 1
            epoch = task.epoch + self.offset
            found.append(Metric.model_construct(**_NO_TIME, key="loss", value=1.0 / epoch, step=epoch, split="none"))
        return found


@lru_cache(10_000)
def content(key: AttemptKey, epoch: int) -> str:
    """The sha256 of what an attempt writes; no two attempts write the same."""
    return hashlib.sha256(f"{key.job}:{key.fence}:{epoch}".encode()).hexdigest()


@dataclass(slots=True)
class Disk:
    """What the agent has written down; it outlives the agent."""

    facts: dict[str, str] = field(default_factory=dict)
    facts_at: dict[str, float] = field(default_factory=dict)
    """When each was written last."""
    seen: dict[str, Seen] = field(default_factory=dict)
    attempts: dict[AttemptKey, AttemptRecord] = field(default_factory=dict)


class SimState:
    """Stands in for `studio9_worker.state.WorkerState`. `full()`: the disk takes nothing more. `on_accept` is told of
    each attempt that the worker is about to take."""

    def __init__(
        self,
        disk: Disk,
        loop: VirtualLoop,
        rng: random.Random,
        full: Callable[[], bool],
        on_accept: Callable[[AttemptKey], None],
    ) -> None:
        self._disk, self._loop, self._rng, self._full, self._on_accept = disk, loop, rng, full, on_accept

    async def _synced(self, work: Callable[[], Any]) -> None:
        if self._full():
            raise sqlite3.OperationalError("database or disk is full")
        written = self._loop.create_future()
        self._loop.after(self._rng.uniform(0.0005, 0.003), _write, work, written)
        await written

    async def fact(self, name: str, make: Callable[[str | None], str], *, keep: bool = True) -> str:
        old = self._disk.facts.get(name)
        if old is not None and keep:
            return old
        new = make(old)

        def work() -> None:
            self._disk.facts[name], self._disk.facts_at[name] = new, self._loop.now

        if new != old:
            await self._synced(work)
        return new

    async def seen(self, job: str) -> Seen:
        return self._disk.seen.get(job, Seen())

    async def attempts(self) -> list[AttemptRecord]:
        return [self._disk.attempts[key] for key in sorted(self._disk.attempts)]

    async def accept(self, record: AttemptRecord, now: datetime, may: Callable[[Seen], bool]) -> Seen:
        seen = await self.seen(record.key.job)
        if not may(seen):
            return seen
        self._on_accept(record.key)

        def work() -> None:
            self._see(record.key.job, highest=record.key.fence)
            self._disk.attempts[record.key] = record

        await self._synced(work)
        return seen

    async def refuse(self, key: AttemptKey, why: str, now: datetime) -> None:
        await self._synced(lambda: self._see(key.job, highest=key.fence))

    async def bury(self, key: AttemptKey, now: datetime) -> None:
        await self._synced(lambda: self._see(key.job, cancelled=key.fence))

    async def set_phase(self, key: AttemptKey, phase: AttemptPhase) -> None:
        await self._set(key, phase=phase)

    async def set_stop(self, key: AttemptKey, cause: StopCause) -> None:
        record = self._disk.attempts.get(key)
        if record is not None and record.stop is None:
            await self._set(key, stop=cause)

    async def set_cursor(self, key: AttemptKey, cursor: Cursor) -> None:
        await self._set(key, cursor=cursor)

    async def set_checkpoint(self, key: AttemptKey, checkpoint: ObjectRef) -> None:
        await self._set(key, checkpoint=checkpoint)

    async def set_result(self, key: AttemptKey, result: WorkerResult) -> None:
        await self._set(key, phase="ended", result=result)

    async def forget(self, key: AttemptKey) -> None:
        await self._synced(lambda: self._disk.attempts.pop(key, None))

    async def _set(self, key: AttemptKey, **changes: Any) -> None:
        def work() -> None:
            if key in self._disk.attempts:
                self._disk.attempts[key] = replace(self._disk.attempts[key], **changes)

        await self._synced(work)

    def _see(self, job: str, *, highest: int = 0, cancelled: int = 0) -> None:
        before = self._disk.seen.get(job, Seen())
        self._disk.seen[job] = Seen(max(before.highest, highest), max(before.cancelled, cancelled))


def _write(work: Callable[[], Any], written: Any) -> None:
    work()
    if not written.done():
        written.set_result(None)
