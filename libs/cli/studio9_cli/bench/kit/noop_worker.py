"""`python -m studio9_cli.bench.kit.noop_worker`: a worker whose tasks do nothing, and end as they begin.

The agent, its inbox, state, beats and each attempt's life are the real ones; the runner alone is replaced. `SLOTS` and
`MARKS` are read from the environment: how many tasks run at once, and the file that gets one line per attempt: the job,
and the moment (CLOCK_MONOTONIC, nanoseconds) at which its record was synced.
"""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, TextIO

from studio9_common.bus import open_bus
from studio9_common.bus.subscriber import Subscriber
from studio9_common.ids import new_id
from studio9_common.logs import configure_logs, logger
from studio9_common.service import collect_rarely, run
from studio9_common.tasks import end
from studio9_common.times import SystemClock, format_time
from studio9_task.exits import ExitRecord, TaskState
from studio9_task.layout import TaskFolder
from studio9_worker.agent import Agent
from studio9_worker.beats import Beats
from studio9_worker.cache import InputCache
from studio9_worker.context import Context
from studio9_worker.folders import JobFolders
from studio9_worker.inbox import Inbox, own_queue
from studio9_worker.lease import AttemptKey
from studio9_worker.records import AttemptRecord, Seen
from studio9_worker.runners.port import Launch, Login
from studio9_worker.settings import WorkerSettings
from studio9_worker.slots import cpu_slots
from studio9_worker.state import WorkerState

MEMORY = Path("/dev/shm")
"""Where the tasks' folders lie if this system has it: what runs in this process needs no disk for what it tells. All
that the agent keeps is on the disk."""


class NoopRunner:
    """See `studio9_worker.runners.port.Runner`. A task has told its result and ended by the time it has started."""

    name: ClassVar[str] = "process"
    isolated: ClassVar[bool] = False

    def __init__(self) -> None:
        now = format_time(SystemClock().now())
        record = ExitRecord(ending="exited", exit_code=0, started=now, ended=now, duration_s=0.0)
        self._ended = TaskState("ended", record)
        self._told = json.dumps({"type": "result", "time": now, "sequence": 1, "summary": {}}).encode() + b"\n"
        self._here: set[str] = set()

    async def bring(self, key: AttemptKey, image: str, login: Login | None) -> None:
        return None

    async def start(self, launch: Launch) -> None:
        launch.folder.root.mkdir(parents=True, exist_ok=True)
        launch.folder.events.write_bytes(self._told)
        self._here.add(launch.folder.root.name)

    async def find(self, folder: TaskFolder) -> TaskState:
        return self._ended if folder.root.name in self._here else TaskState("absent")

    async def renew(self, folder: TaskFolder) -> None:
        return None

    async def stop(self, folder: TaskFolder, grace_s: float | None = None) -> None:
        return None

    async def remove(self, key: AttemptKey) -> None:
        self._here.discard(f"{key.job}.{key.fence}")

    async def list(self) -> list[AttemptKey]:
        return []


class MarkedState(WorkerState):
    """Notes when each attempt's record was on the disk."""

    def __init__(self, path: Path, marks: TextIO) -> None:
        super().__init__(path)
        self._marks = marks

    async def accept(
        self, record: AttemptRecord, now: datetime, may: Callable[[Seen], bool] = lambda seen: True
    ) -> Seen:
        seen = await super().accept(record, now, may)
        print(record.key.job, time.monotonic_ns(), file=self._marks)
        return seen


async def main(slots: int, marks: TextIO, folders: Path) -> None:
    """Runs until SIGTERM."""
    settings = WorkerSettings.of_process()
    configure_logs(settings.log_level, settings.log_format)
    collect_rarely()
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    bus = await open_bus(settings.bus_url, name="worker")
    objects = settings.open_objects()
    state = MarkedState(settings.state_dir / "worker.sqlite", marks)
    await state.open()
    cache = InputCache(settings.state_dir / "cache", 0)
    await cache.open()
    context = Context(
        worker="bench",
        settings=settings,
        bus=bus,
        objects=objects,
        clock=SystemClock(),
        state=state,
        cache=cache,
        folders=JobFolders(folders),
        runner=NoopRunner(),
        log=logger("worker"),
    )
    agent = Agent(context, cpu_slots(slots))
    inbox = Subscriber(bus, own_queue("bench"), Inbox(agent).handle, batch=64)
    await inbox.start()
    beats = asyncio.create_task(Beats(agent, lambda: inbox.healthy, generation=1, instance=new_id()).run())
    await stopped.wait()
    await end(beats)
    await inbox.stop()
    await agent.close()
    await state.close()
    await bus.close()


if __name__ == "__main__":
    memory = MEMORY if MEMORY.is_dir() else None
    with Path(os.environ["MARKS"]).open("a", buffering=1) as file, TemporaryDirectory(dir=memory) as folders:
        run(main(int(os.environ["SLOTS"]), file, Path(folders)), "worker")
