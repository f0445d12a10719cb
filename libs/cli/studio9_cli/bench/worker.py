"""The worker on real servers: what the platform adds to the start of a container, and how fast inputs are staged.

`task_overhead_s`: from Baile's 2xx for a training to the first line of its task in a sealed container, less what a bare
`docker run` takes to the first line of the same image; medians of turns. The task tells the moment itself, by the
machine's clock. Baile, Argo, Orion, Aries and the worker are processes of their own.

`stage_vs_copy_ratio`: 10,000 pictures staged from the object store into an attempt's folder (checked by hash, kept in
the cache, linked), beside its bare client that writes each to a file, with as many requests at once.
"""

import asyncio
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from studio9_cli import project
from studio9_cli.bench import Bench, Figure
from studio9_cli.bench.kit.image import catalogue_of, telling_image
from studio9_cli.bench.kit.running import CannotMeasure
from studio9_cli.bench.kit.staging import Pictures
from studio9_cli.bench.kit.whole import NEEDS as SERVERS
from studio9_cli.bench.kit.whole import Whole
from studio9_cli.demo import waiting
from studio9_cli.demo.api import Api, ApiError
from studio9_cli.demo.digits import build_pages
from studio9_cli.demo.journey import Journey, Sql, Surroundings
from studio9_cli.demo.show import Silent

NEEDS = SERVERS
TURNS, QUICK_TURNS = 20, 2
FILES, QUICK_FILES = 10_000, 200
PAIRS = 3
WITHIN_S = 120.0


async def run(bench: Bench) -> list[Figure]:
    """Both figures."""
    return [await _overhead(bench), await _staging(bench)]


async def _staging(bench: Bench) -> Figure:
    async with _scratch(bench) as pictures:
        return await bench.paired(
            "stage_vs_copy_ratio",
            "files/s",
            pictures.staged,
            pictures.copied,
            against="bare client",
            goal=None if bench.quick else 0.8,
            pairs=PAIRS,
        )


class _scratch:
    """Pictures in a bucket and a folder, both removed at the end."""

    def __init__(self, bench: Bench) -> None:
        self._folder = Path(project.cache_folder(), "bench-staging")
        count = QUICK_FILES if bench.quick else FILES
        self._pictures = Pictures(bench.address("STUDIO9_TEST_S3_URL"), self._folder, count)

    async def __aenter__(self) -> Pictures:
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
        await self._pictures.fill()
        return self._pictures

    async def __aexit__(self, *_: object) -> None:
        await self._pictures.remove()


async def _overhead(bench: Bench) -> Figure:
    """Trainings and bare containers in turns, after one of each to warm up."""
    url, base = bench.address("STUDIO9_TEST_DOCKER_URL"), bench.address("STUDIO9_TEST_DOCKER_IMAGE")
    if shutil.which("docker") is None:
        raise CannotMeasure("docker: its command line is not installed, and a bare `docker run` is measured beside")
    trainers = project.environment_python("trainers")
    image = await asyncio.to_thread(lambda: telling_image(url, base, catalogue_of(trainers)))
    ours: list[float] = []
    bare: list[float] = []
    async with Whole(bench) as whole:
        await whole.start_worker(
            {
                "STUDIO9_WORKER_RUNNER": "container",
                "STUDIO9_WORKER_DOCKER_URL": url,
                "STUDIO9_WORKER_TASK_IMAGE": image,
                "STUDIO9_WORKER_GPU_SLOTS": "false",
            }
        )
        api = await whole.signed_in()
        try:
            trainings = Trainings(api, whole.folder)
            await trainings.prepare()
            for turn in range((QUICK_TURNS if bench.quick else TURNS) + 1):
                mine, other = await trainings.once(turn), await asyncio.to_thread(bare_run, url, image)
                if turn:
                    ours.append(mine)
                    bare.append(other)
        finally:
            await api.close()
    added = statistics.median(ours) - statistics.median(bare)
    extra = {
        "first_line_s": {"median": statistics.median(ours), "values": ours},
        "bare_first_line_s": {"median": statistics.median(bare), "values": bare},
    }
    goal = None if bench.quick else 1.0
    return Figure("task_overhead_s", "s", added, goal=goal, at_most=True, extra=extra)


def bare_run(url: str, image: str) -> float:
    """Seconds from `docker run` to the first line of a container without network. Blocks."""
    started = time.time()
    done = subprocess.run(
        ["docker", "--host", url, "run", "--rm", "--network", "none", image, "studio9-task"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    return line_at([*done.stdout.splitlines(), *done.stderr.splitlines()]) - started


def line_at(lines: list[str] | tuple[str, ...]) -> float:
    """The moment that the task told with its first line. Raises CannotMeasure."""
    for line in lines:
        word, _, moment = line.partition(" ")
        if word == "line-at":
            return float(moment)
    raise CannotMeasure(f"the task told no moment: {lines}")


class Trainings:
    """Small trainings, as a user asks Baile for them."""

    def __init__(self, api: Api, folder: Path) -> None:
        self._api = api
        pages = {split: build_pages(folder / split, 2, 96, split=split) for split in ("train", "test", "predict")}
        self._journey = Journey(api, Silent(), dict(pages), Surroundings(_nothing, _no_sql, _none))

    async def prepare(self) -> None:
        """The albums; and until a worker has told what can be trained."""
        await self._journey.albums()

        async def told() -> bool:
            return bool(await self._api.get("/v2.0/config/cv-architectures"))

        await waiting.until("what can be trained", told, timeout_s=WITHIN_S)

    async def once(self, turn: int) -> float:
        """Seconds from Baile's answer to the task's first line; returns once the job is cleaned up."""
        body = self._journey.experiment() | {"name": f"turn {turn}"}
        async with asyncio.timeout(WITHIN_S):
            experiment = await self._api.post("/v2.0/experiments", body)
            answered = time.time()
            return await self._first_line(experiment["id"]) - answered

    async def _first_line(self, experiment: str) -> float:
        while True:
            await asyncio.sleep(0.2)
            try:
                process = await self._api.get(f"/v2.0/experiments/{experiment}/process")
                job = await self._api.get(f"/v1/jobs/{process['id']}")
            except ApiError as error:
                if error.status != 404:
                    raise
                continue
            if job.get("phase") == "clean":
                return line_at(tuple(job["attempts"][0]["log_tail"]))


async def _nothing(name: str, content: bytes) -> None:
    """Nothing is dropped here."""


async def _no_sql(statement: str) -> Sql:
    return Sql((), ())


async def _none() -> int:
    return 0
