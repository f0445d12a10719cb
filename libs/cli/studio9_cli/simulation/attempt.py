"""What stands in for the file-bound parts of an attempt's life: staging, outputs, patience."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from studio9_cli.simulation.machine import Folder, content
from studio9_common.contracts.job import ChildRequest, ObjectRef
from studio9_common.contracts.messages import WorkerResult
from studio9_common.contracts.reasons import reason
from studio9_common.errors import Unavailable
from studio9_common.objects.port import ObjectMissing
from studio9_task.exits import TaskState
from studio9_worker import collect
from studio9_worker.collect import attempt_prefix
from studio9_worker.context import Context
from studio9_worker.endings import Ending
from studio9_worker.failing import StagingFailed
from studio9_worker.records import AttemptRecord
from studio9_worker.told import Told

Answer = TypeVar("Answer")


async def patiently(call: Callable[[], Awaitable[Answer]], patience_s: float) -> Answer:
    """Stands in for `studio9_worker.transfer.patiently`, in virtual time."""
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + patience_s, 0.5
    while True:
        try:
            return await call()
        except Unavailable:
            if loop.time() + pause > end:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, 15.0)


async def put_output(objects: Any, outputs: Any, name: str, key: str, sha256: str, media_type: str) -> None:
    """Stands in for `studio9_worker.outputs.put_output`."""
    await objects.put(key, b"", sha256=sha256)


class Staging:
    """Stands in for `studio9_worker.staging.stage`; takes a while, and needs the checkpoint that it resumes from, and
    what its children have made."""

    def __init__(self, rng: random.Random, on_missing: Callable[[str, str], None]) -> None:
        self._rng, self._on_missing = rng, on_missing

    async def __call__(self, context: Context, record: AttemptRecord, threads: int) -> bytes:
        folder: Any = context.folders.of(record.key)
        folder.machine.folders.add(record.key)
        await asyncio.sleep(self._rng.uniform(0.1, 4.0))
        needed = [record.run.resume.key] if record.run.resume else []
        needed += [one.manifest.key for one in record.run.children if one.manifest is not None]
        try:
            for key in needed:
                await patiently(partial(context.objects.head, key), context.settings.staging_patience_s)
        except ObjectMissing as error:
            self._on_missing(record.key.job, str(error))
            raise StagingFailed(reason("staging_error", str(error))) from error
        except Unavailable as error:
            raise StagingFailed(reason("staging_error", str(error))) from error
        return b""


class Collector(collect.Collector):
    """Its outputs are hashes, put there before the manifest; what a task asks for is read as everywhere."""

    async def collect(self, state: TaskState, told: Told, ending: Ending, checkpoint: ObjectRef | None) -> WorkerResult:
        key, why, manifest = self._record.key, ending.reason, None
        children: tuple[ChildRequest, ...] = ()
        prefix = attempt_prefix(self._record)
        try:
            if ending.outcome == "succeeded":
                await self._leave(f"{prefix}outputs/result.json", -1)
                if self._record.run.spec.kind == "predict":
                    await self._leave(f"{prefix}predictions/part-00000.csv.gz", -2)
                children = await self._children(told, checkpoint)
            await self._leave(f"{prefix}log.txt", -3)
            manifest = ObjectRef(key=f"{prefix}manifest.json", sha256=content(key, -4), size=1)
            await self._leave(manifest.key, -4)
        except Unavailable as error:
            why, manifest = why or reason("upload_error", str(error)), None
        outcome = "failed" if ending.outcome == "succeeded" and why is not None else ending.outcome
        return WorkerResult(
            worker=self._context.worker,
            job=key.job,
            organisation=self._record.organisation,
            attempt=self._record.run.attempt,
            fence=key.fence,
            outcome=outcome,
            reason=why,
            manifest=manifest,
            checkpoint=checkpoint,
            children=children if outcome == "succeeded" else (),
            summary=told.summary() if outcome == "succeeded" else {},
        )

    async def _leave(self, name: str, part: int) -> None:
        digest = content(self._record.key, part)
        await patiently(lambda: self._context.objects.put(name, b"", sha256=digest), self._patience_s)


def read_asked(outputs: Any, path: str) -> bytes:
    """Stands in for what reads the file in which a task asks for children."""
    folder: Folder = outputs
    return folder.machine.tasks[folder.key].children


def epoch_of(resume: ObjectRef | None) -> int:
    """How far a checkpoint got, by its key."""
    return 0 if resume is None else int(resume.key.rpartition("/")[2].partition("-")[0])


__all__ = ["Collector", "Folder", "Staging", "epoch_of", "patiently", "put_output", "read_asked"]
