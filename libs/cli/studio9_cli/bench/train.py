"""A real training through bus, worker and container, beside the bare Ultralytics run of the same data on this machine.

`train_speed_ratio`: what the bare run takes to its trained model, divided by what the platform takes from the request's
confirm to the same (less 2 s of start-up), with the exact state written and uploaded at every epoch. Meanwhile Orion
supervises 200 simulated jobs, in both arms. Same pictures, recipe, seed, one thread; medians of interleaved pairs of
at least 60 s each. What ours does beyond (predictions of every picture, their evaluation) is no part of a bare run,
and not counted.
"""

import asyncio
import json
import math
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from studio9_cli import project
from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.deployed import Deployed
from studio9_cli.bench.kit.pages import Pages
from studio9_cli.bench.kit.running import CannotMeasure
from studio9_cli.bench.supervise import ATTEMPTS, Workers
from studio9_cli.bench.supervise import submit as submit_simulated
from studio9_cli.bench.supervise import until_running as until_simulated_run
from studio9_cli.servers.instances import is_ready
from studio9_common.bus import Bus, Queue, open_bus
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import Input, Requirements, Spec
from studio9_common.contracts.messages import JobCancelled, JobCompleted, JobFailed, JobRequested
from studio9_common.ids import new_id
from studio9_common.objects.local import LocalObjects
from studio9_task.parameters import Size, TrainParameters
from studio9_worker.runners.threads import thread_variables
from studio9_worker.settings import WorkerSettings

NEEDS = ("rabbitmq", "elasticsearch", "docker")
SIMULATED, QUICK_SIMULATED = 25, 2
"""Simulated workers; each has 8 jobs."""
PAGES, QUICK_PAGES = {"train": 240, "val": 24}, {"train": 16, "val": 4}
SIZE = 192
SEED = 7
START_UP_S = 2.0
AT_LEAST_S = 66.0
"""Of the bare run, so that its pair has its 60 s also where the machine is faster for once."""
TRAINED_S = 900.0
LABEL = "bench"
ENDED = Queue("bench.ended.v1", (JobCompleted.routing_key, JobFailed.routing_key, JobCancelled.routing_key))


async def run(bench: Bench) -> list[Figure]:
    """The figure."""
    async with _prepared(bench) as (platform, bare):
        warm = await bare.seconds(1)  # reads 6 GB of libraries into memory
        longer = await bare.seconds(2)
        epochs = 2 if bench.quick else max(2, math.ceil((AT_LEAST_S - warm) / max(0.5, longer - warm)) + 1)

        async def ours(_: float) -> float:
            return await platform.seconds(epochs) - START_UP_S

        async def theirs(_: float) -> float:
            return await bare.seconds(epochs)

        figure = await bench.paired(
            "train_speed_ratio",
            "s",
            ours,
            theirs,
            against="bare Ultralytics",
            goal=None if bench.quick else 0.95,
            higher_is_better=False,
        )
    return [figure]


class BareTraining:
    """Runs Ultralytics in a process of its own, with a task's priority beside what else the machine does."""

    def __init__(self, python: Path, data: Path, folder: Path) -> None:
        self._python, self._data, self._folder = python, data, folder
        self._nice = WorkerSettings().task_nice

    async def seconds(self, epochs: int) -> float:
        """From the process' start until the model is there."""
        scratch = self._folder / new_id()
        scratch.mkdir(parents=True)
        program = project.root() / "libs" / "trainers" / "bench" / "bare.py"
        command: list[str | Path] = [self._python, program, self._data, scratch, str(epochs), str(SIZE), str(SEED)]
        environment = thread_variables(1) | {"HOME": str(scratch), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        started = time.time()
        process = await asyncio.create_subprocess_exec(
            "/usr/bin/nice",
            "-n",
            str(self._nice),
            *command,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        for line in printed.decode(errors="replace").splitlines():
            word, _, moment = line.partition(" ")
            if word == "trained-at":
                return float(moment) - started
        raise CannotMeasure(f"the bare training failed: {printed.decode(errors='replace')[-500:]}")


class PlatformTraining:
    """Asks for a training on the bus, and looks over the worker's shoulder for the moment of its model."""

    def __init__(self, bus: Bus, jobs: Path, inputs: tuple[Input, ...]) -> None:
        self._bus, self._jobs, self._inputs = bus, jobs, inputs

    async def seconds(self, epochs: int) -> float:
        """From the request until the model is announced; returns once the job has ended."""
        parameters = TrainParameters(
            architecture="YOLO11N",
            head="YOLO_HEAD",
            head_parameters={"epochs": epochs},
            input_size=Size(width=SIZE, height=SIZE),
        )
        spec = Spec(
            kind="train",
            parameters=parameters.model_dump(mode="json"),
            inputs=self._inputs,
            seed=SEED,
            requirements=Requirements(labels=(LABEL,)),
        )
        request = JobRequested(job=new_id(), owner="bench", spec=spec)
        async with self._bus.consume(ENDED.name) as consumer:
            await self._bus.publish(encode(request, source="bench", organisation="acme", mandatory=True))
            started = time.time()
            watching = asyncio.create_task(self._model_at(request.job))
            try:
                async with asyncio.timeout(TRAINED_S):
                    while True:
                        for delivery in await consumer.get(10):
                            data = decode(delivery.body).data
                            await delivery.ack()
                            if isinstance(data, JobFailed | JobCancelled) and data.job == request.job:
                                raise CannotMeasure(f"the training failed: {data.reason}")
                            if isinstance(data, JobCompleted) and data.job == request.job:
                                return await watching - started
            finally:
                watching.cancel()

    async def _model_at(self, job: str) -> float:
        """When the task announced its model, by its own event."""
        path = self._jobs / f"{job}.1" / "events.jsonl"
        while True:
            await asyncio.sleep(0.2)
            for line in await asyncio.to_thread(_lines, path):
                if '"artifact"' in line and (event := json.loads(line)).get("name") == "model":
                    return datetime.fromisoformat(event["time"]).timestamp()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()[-200:]
    except FileNotFoundError:
        return []


@asynccontextmanager
async def _prepared(bench: Bench) -> AsyncIterator[tuple[PlatformTraining, BareTraining]]:
    """Both arms, with the simulated jobs running."""
    trainers = project.environment_python("trainers")
    if not trainers.exists():
        raise CannotMeasure("the trainers' environment is not there: ./studio9 setup makes it")
    simulated = QUICK_SIMULATED if bench.quick else SIMULATED
    async with Deployed(bench) as deployed:
        pages = await asyncio.to_thread(Pages, deployed.folder / "pages", QUICK_PAGES if bench.quick else PAGES, SIZE)
        data = await asyncio.to_thread(pages.data_file)
        objects = await asyncio.to_thread(
            LocalObjects, deployed.folder / "objects", base_url="http://127.0.0.1/objects"
        )
        bus = await open_bus(deployed.bus_url, name="bench")
        store = deployed.aries()
        workers = Workers(bus, simulated)
        try:
            inputs = await pages.inputs(objects, "acme")
            await bus.declare(ENDED)
            await workers.start()
            await submit_simulated(bus, simulated * ATTEMPTS)
            await until_simulated_run(workers, store, simulated * ATTEMPTS)
            settings = {
                "STUDIO9_WORKER_RUNNER": "container",
                "STUDIO9_WORKER_DOCKER_URL": bench.address("STUDIO9_TEST_DOCKER_URL"),
                "STUDIO9_WORKER_TASK_IMAGE": bench.address("STUDIO9_TEST_DOCKER_IMAGE"),
                "STUDIO9_WORKER_MOUNT_TRAINERS": "true",
                "STUDIO9_WORKER_TRAINERS_PYTHON": str(trainers),
                "STUDIO9_WORKER_GPU_SLOTS": "false",
                "STUDIO9_WORKER_LABELS": LABEL,
                "STUDIO9_WORKER_THREADS": "1",
            }
            worker = deployed.start("worker", [sys.executable, "-m", "studio9_worker"], settings)
            await asyncio.to_thread(worker.wait_until, partial(is_ready, deployed.address("worker")), 120)
            jobs = deployed.folder / "worker" / "jobs"
            yield PlatformTraining(bus, jobs, inputs), BareTraining(trainers, data, deployed.folder / "bare")
        finally:
            await workers.stop()
            await store.close()
            await bus.close()
            await objects.close()
