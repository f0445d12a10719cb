"""A worker with containers on the embedded bus, and Orion's side of the conversation."""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.bus.port import Queue
from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Spec
from studio9_common.contracts.messages import (
    Lease,
    WorkerBeat,
    WorkerCancel,
    WorkerLease,
    WorkerResult,
    WorkerRun,
    WorkerTelemetry,
)
from studio9_common.ids import new_id
from studio9_common.objects.local import LocalObjects
from studio9_task.layout import TaskFolder
from studio9_worker.app import WorkerService, build
from studio9_worker.runners.container import ContainerRunner, Owner
from studio9_worker.runners.disks import Disks, in_words, mounts, usable
from studio9_worker.runners.engine import Engine
from studio9_worker.runners.images import ImageStore
from studio9_worker.runners.mounted import mounted_program
from studio9_worker.runners.sealing import Room
from studio9_worker.settings import WorkerSettings

WORKER = "w1"
QUEUES = tuple(Queue(f"test.{name}.v1", (f"worker.{name}.#",)) for name in ("beat", "result", "telemetry"))
PROGRAMS = Path(__file__).parent / "programs"
USER = (10001, 10001)
MIB = 1 << 20
WITHIN_S = 60.0


def disks(engine: Engine, image: str, folder: Path) -> Disks | str:
    """File systems for tasks, one each, or why the tests may mount none."""
    return usable(folder / "worker" / "disks", engine, engine.local_image(image), f"{folder.name}-disk")


def hostile_runner(engine: Engine, image: str, folder: Path, own: Disks | None) -> ContainerRunner:
    """Containers that run `programs/hostile.py` with this environment's Python, mounted."""
    program = mounted_program(Path(sys.executable), ("/opt/programs/hostile.py",))
    program = replace(program, mounts={**program.mounts, PROGRAMS: "/opt/programs"})
    room = Room(USER, 256 * MIB, processes=64, shm_bytes=8 * MIB, tmp_bytes=16 * MIB)
    images = ImageStore(engine, folder / "images.json", 1 << 30)
    return ContainerRunner(engine, engine.local_image(image), program, room, Owner(folder.name, WORKER), images, own)


def worker_settings(folder: Path, **changes: Any) -> WorkerSettings:
    """Settings with small limits, and with which a test does not wait."""
    values: dict[str, Any] = {
        "worker_id": WORKER, "state_dir": folder / "worker", "trainers_python": Path(sys.executable), "threads": 1,
        "task_command": "/bin/false", "mount_trainers": True, "beat_s": 0.4, "poll_s": 0.1, "result_resend_s": 0.3,
        "stop_grace_s": 1.0,
        "output_gib": 0.03125, "task_disk_gib": 0.0625, "task_log_mib": 1.0, "task_flood_mib": 8.0, "sweep_s": 1.0,
    }  # fmt: skip
    return WorkerSettings(**(values | changes))


class Platform:
    """What Orion would do: answer beats, confirm results."""

    def __init__(self, folder: Path, engine: Engine, image: str) -> None:
        self.folder, self.engine, self.image = folder, engine, image
        self.owner = Owner(folder.name, WORKER)
        self.beats: list[WorkerBeat] = []
        self.beaten: list[float] = []
        """When each beat came, by the monotonic clock."""
        self.results: list[WorkerResult] = []
        self.telemetry: list[WorkerTelemetry] = []
        self.notes: set[str] = set()
        """What the summary of a test run should say of these tests."""
        self._service: WorkerService | None = None

    async def open(self) -> None:
        self.bus = await EmbeddedBus.open(self.folder / "bus.sqlite")
        self.objects = LocalObjects(self.folder / "objects", base_url="http://127.0.0.1/objects")
        await self.bus.declare(*QUEUES)
        self._listener = asyncio.create_task(self._listen())

    async def pause(self) -> None:
        """Closes the bus: another process has it meanwhile."""
        self._listener.cancel()
        await asyncio.wait([self._listener])
        await self.bus.close()
        await self.objects.close()

    async def close(self) -> None:
        await self.stop_worker()
        await self.pause()
        for labels in self.containers():
            self.engine.remove(self.container(labels["studio9.job"]))
        disks = Disks(self.folder / "worker" / "disks")
        for name in disks.names():
            disks.remove(name)

    async def start_worker(
        self, *, hostile: bool = True, argo: ArgoClient | None = None, own_disk: bool = True, **changes: Any
    ) -> None:
        """A worker whose tasks are the hostile program, or what the settings name; `argo` has the users' secrets.
        `own_disk`: each task has a file system of its own, where the tests may mount one."""
        found = await asyncio.to_thread(disks, self.engine, self.image, self.folder) if own_disk else "as it is set"
        if own_disk:
            self.notes.add(f"a task's disk: {in_words(found)}")
        own = found if isinstance(found, Disks) else None
        self.runner = hostile_runner(Engine(self.engine.url), self.image, self.folder, own)
        settings = worker_settings(self.folder, **changes)
        runner = self.runner if hostile else None
        self._service = build(settings, bus=self.bus, objects=self.objects, argo=argo, runner=runner)
        await self._service.start()

    async def stop_worker(self) -> None:
        if self._service is not None:
            await self._service.stop()
            self._service = None

    async def _listen(self) -> None:
        async with AsyncExitStack() as stack:
            consumers = [await stack.enter_async_context(self.bus.consume(queue.name)) for queue in QUEUES]
            await asyncio.gather(*(self._take(consumer) for consumer in consumers))

    async def _take(self, consumer: Any) -> None:
        while True:
            for delivery in await consumer.get(16):
                match decode(delivery.body).data:
                    case WorkerBeat() as beat:
                        self.beats.append(beat)
                        self.beaten.append(time.monotonic())
                        await self._answer(beat)
                    case WorkerResult() as result:
                        self.results.append(result)
                    case WorkerTelemetry() as telemetry:
                        self.telemetry.append(telemetry)
                await delivery.ack()

    async def _answer(self, beat: WorkerBeat) -> None:
        known = {(result.job, result.fence) for result in self.results}
        leases = tuple(
            Lease(
                job=one.job,
                fence=one.fence,
                decision="confirmed" if one.phase == "ended" and (one.job, one.fence) in known else "keep",
            )
            for one in beat.attempts
        )
        answer = WorkerLease(worker=WORKER, beat=beat.sequence, leases=leases)
        await self.bus.publish(encode(answer, source="orion", organisation="system"))

    async def run(self, do: str, **more: Any) -> str:
        """Sends a job to the worker; its id."""
        job = new_id()
        await self.send(self.order(job, do, **more))
        return job

    def order(
        self,
        job: str,
        do: str,
        *,
        image: str | None = None,
        image_secret: str | None = None,
        max_run_s: float = 120.0,
        **parameters: Any,
    ) -> WorkerRun:
        """What runs a job."""
        given = {"do": do, **parameters}
        spec = Spec(kind="train", parameters=given, image=image, image_secret=image_secret, max_run_s=max_run_s)
        return WorkerRun(worker=WORKER, job=job, attempt=1, fence=1, spec=spec)

    async def send(self, message: WorkerRun | WorkerCancel) -> None:
        await self.bus.publish(encode(message, source="orion", organisation="acme"))

    async def cancel(self, job: str) -> None:
        await self.send(WorkerCancel(worker=WORKER, job=job, fence=1, grace_s=1.0))

    async def until(self, condition: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
        """The first true value of a condition."""
        async with asyncio.timeout(within_s):
            while True:
                if found := condition():
                    return found
                await asyncio.sleep(0.05)

    async def result(self, job: str) -> WorkerResult:
        found: WorkerResult = await self.until(lambda: next((one for one in self.results if one.job == job), None))
        return found

    async def progress(self, job: str) -> None:
        """Until a beat shows that the task has told something."""
        await self.until(lambda: any(a.job == job and a.progress for beat in self.beats for a in beat.attempts))

    def task_folder(self, job: str) -> TaskFolder:
        return TaskFolder(self.folder / "worker" / "jobs" / f"{job}.1")

    def container(self, job: str) -> str:
        """The name of a job's container."""
        return self.owner.name(f"{job}.1")

    def containers(self) -> Any:
        """The labels of every container of this worker."""
        return self.engine.labelled(self.owner.labels)

    async def clean(self, job: str) -> None:
        """Until nothing of a job is on the machine: no folder, no container."""
        await self.until(lambda: not self.task_folder(job).root.exists())
        assert self.engine.find(self.container(job)) is None
        assert not [place for place in mounts() if job in str(place)]
        assert not list((self.folder / "worker" / "disks").glob(f"{job}*"))
