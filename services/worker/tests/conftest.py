"""A worker on the embedded bus and a folder of objects, and Orion's side of the conversation."""

import asyncio
import hashlib
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.bus.port import Queue
from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Input, ObjectRef, Provenance, Spec
from studio9_common.contracts.messages import (
    Lease,
    Message,
    WorkerBeat,
    WorkerCancel,
    WorkerLease,
    WorkerResult,
    WorkerRun,
    WorkerTelemetry,
)
from studio9_common.contracts.predictions import AttemptManifest
from studio9_common.ids import new_id
from studio9_common.objects.local import LocalObjects
from studio9_task.exits import task_state
from studio9_task.layout import TaskFolder
from studio9_task.pictures import PictureRecord
from studio9_worker.app import WorkerService, build
from studio9_worker.lease import AttemptKey
from studio9_worker.settings import WorkerSettings

WORKER = "w1"
ORGANISATION = "acme"
QUEUES = tuple(Queue(f"test.{name}.v1", (f"worker.{name}.#",)) for name in ("beat", "result", "telemetry"))
PROGRAM = shlex.join((sys.executable, str(Path(__file__).parent / "task_program.py")))


def worker_settings(folder: Path, **changes: Any) -> WorkerSettings:
    """Settings with which a test does not wait."""
    values: dict[str, Any] = {
        "worker_id": WORKER, "state_dir": folder, "task_command": PROGRAM, "trainers_python": Path(sys.executable),
        "threads": 1, "beat_s": 0.4, "poll_s": 0.05, "result_resend_s": 0.3, "stop_grace_s": 1.0, "commit": "abc1234",
    }  # fmt: skip
    return WorkerSettings(**(values | changes))


class Platform:
    """Bus, objects and worker in one folder, and what Orion would do: answer beats, confirm results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.beats: list[WorkerBeat] = []
        self.results: list[WorkerResult] = []
        self.telemetry: list[WorkerTelemetry] = []
        self.decide: Callable[[str, int, str], str | None] = self.confirm_all
        self._news = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None
        self.service: WorkerService | None = None
        self.argo: ArgoClient | None = None

    async def open(self) -> None:
        self.bus = await EmbeddedBus.open(self.folder / "bus.sqlite")
        self.objects = LocalObjects(self.folder / "objects", base_url="http://127.0.0.1/objects")
        await self.bus.declare(*QUEUES)
        self._listener = asyncio.create_task(self._listen())

    async def close(self) -> None:
        await self.stop_worker()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait([self._listener])
        await self.bus.close()
        await self.objects.close()

    async def start_worker(self, **changes: Any) -> WorkerService:
        settings = worker_settings(self.folder / "worker", **changes)
        self.service = build(settings, bus=self.bus, objects=self.objects, argo=self.argo)
        await self.service.start()
        return self.service

    async def stop_worker(self) -> None:
        if self.service is not None:
            await self.service.stop()
            self.service = None

    def confirm_all(self, job: str, fence: int, phase: str) -> str | None:
        """The decision for an attempt in a beat: go on, or forget it once its result is here."""
        got = any((result.job, result.fence) == (job, fence) for result in self.results)
        return "confirmed" if got and phase == "ended" else "keep"

    async def _listen(self) -> None:
        async with AsyncExitStack() as stack:
            consumers = [await stack.enter_async_context(self.bus.consume(queue.name)) for queue in QUEUES]
            await asyncio.gather(*(self._take(consumer) for consumer in consumers))

    async def _take(self, consumer: Any) -> None:
        while True:
            for delivery in await consumer.get(16):
                data = decode(delivery.body).data
                match data:
                    case WorkerBeat():
                        self.beats.append(data)
                        await self._answer(data)
                    case WorkerResult():
                        self.results.append(data)
                    case WorkerTelemetry():
                        self.telemetry.append(data)
                await delivery.ack()
            self._news.set()

    async def _answer(self, beat: WorkerBeat) -> None:
        leases = []
        for one in beat.attempts:
            decision: Any = self.decide(one.job, one.fence, one.phase)
            if decision is not None:
                leases.append(Lease(job=one.job, fence=one.fence, decision=decision))
        await self.send(WorkerLease(worker=WORKER, beat=beat.sequence, leases=tuple(leases)), organisation="system")

    async def send(self, message: Message, organisation: str = ORGANISATION) -> None:
        await self.bus.publish(encode(message, source="orion", organisation=organisation))

    async def run(
        self,
        do: str,
        *,
        job: str | None = None,
        fence: int = 1,
        attempt: int = 1,
        resume: ObjectRef | None = None,
        parameters: dict[str, Any] | None = None,
        **spec: Any,
    ) -> str:
        """Sends worker.run; the job's id."""
        job = job or new_id()
        given = Spec(**({"kind": "train"} | spec), parameters={"do": do, **(parameters or {})})
        await self.send(WorkerRun(worker=WORKER, job=job, attempt=attempt, fence=fence, spec=given, resume=resume))
        return job

    async def cancel(self, job: str, fence: int = 1, grace_s: float = 20.0) -> None:
        await self.send(WorkerCancel(worker=WORKER, job=job, fence=fence, grace_s=grace_s))

    async def until(self, condition: Callable[[], Any], within_s: float = 20) -> Any:
        """The first true value of a condition on what has arrived."""
        async with asyncio.timeout(within_s):
            while not (found := condition()):
                self._news.clear()
                try:
                    await asyncio.wait_for(self._news.wait(), 0.1)
                except TimeoutError:
                    continue
        return found

    async def result(self, job: str, fence: int = 1) -> WorkerResult:
        found: WorkerResult = await self.until(
            lambda: next((one for one in self.results if (one.job, one.fence) == (job, fence)), None)
        )
        return found

    async def phase(self, job: str, phase: str, **more: Any) -> Any:
        """The attempt of a job in the first beat that shows it in this phase."""
        return await self.until(
            lambda: next(
                (
                    one
                    for beat in self.beats
                    for one in beat.attempts
                    if one.job == job and one.phase == phase and all(getattr(one, k) == v for k, v in more.items())
                ),
                None,
            )
        )

    def task_folder(self, job: str, fence: int = 1) -> Path:
        return self.folder / "worker" / "jobs" / f"{job}.{fence}"

    async def gone(self, job: str, fence: int = 1) -> None:
        """Until nothing of the attempt is left here."""
        await self.until(lambda: not self.task_folder(job, fence).exists())

    async def found_again(self, job: str) -> WorkerResult:
        """The result of a task that waits and whose agent is gone: the next one finds it, has no part of it done again,
        and delivers it once. Opens the platform."""
        folder = TaskFolder(self.task_folder(job))
        assert task_state(folder).state == "running", "the task does not notice"
        await self.open()
        service = await self.start_worker()
        assert service.agent is not None
        assert [life.record.key for life in service.agent.lives] == [AttemptKey(job, 1)]
        (folder.root / "go").touch()
        result = await self.result(job)
        assert (result.outcome, result.summary["resumed_from"]) == ("succeeded", 0)
        await self.gone(job)
        assert len({one.model_dump_json() for one in self.results}) == 1
        return result

    async def manifest(self, result: WorkerResult) -> AttemptManifest:
        assert result.manifest is not None
        content = await self.objects.get(result.manifest.key)
        assert hashlib.sha256(content).hexdigest() == result.manifest.sha256
        return AttemptManifest.model_validate_json(content)

    async def put(self, key: str, content: bytes) -> ObjectRef:
        info = await self.objects.put(key, content)
        assert info.sha256 is not None
        return ObjectRef(key=key, sha256=info.sha256, size=info.size)

    async def pictures(self, name: str, contents: dict[str, bytes], organisation: str = ORGANISATION) -> Input:
        """An input of pictures, by file name."""
        records = []
        for number, (filename, content) in enumerate(contents.items()):
            sha256 = hashlib.sha256(content).hexdigest()
            await self.put(f"{organisation}/pictures/{sha256}", content)
            records.append(
                PictureRecord(
                    picture_id=f"p{number}", version=sha256, sha256=sha256, key=f"{organisation}/pictures/{sha256}",
                    filename=filename, size=len(content), width=10, height=10, label_revision=f"r{number}",
                )
            )  # fmt: skip
        lines = b"".join(record.model_dump_json(exclude_none=True).encode() + b"\n" for record in records)
        return Input(name=name, kind="pictures", ref=await self.put(f"{ORGANISATION}/datasets/{new_id()}", lines))


MakePlatform = Callable[[], Awaitable[Platform]]
PROVENANCE = Provenance(model_id="m1", model_version="mv1", dataset_version="dv1")


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """The platform with its worker not started yet."""
    made = Platform(tmp_path)
    await made.open()
    yield made
    await made.close()
