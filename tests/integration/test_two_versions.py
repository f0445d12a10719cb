"""The version before and this one side by side on one broker and one store, as they are in the middle of an upgrade."""

import asyncio
import io
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from studio9_common.contracts.job import TERMINAL, Job, State
from studio9_common.http.client import ServiceClient

from .deployed import STAYS, DeployedPlatform
from .embedded import answer_of
from .requester import Requester

BEFORE = "8684abff08bd3e2aa0bb9f4074412fb87266accb"
"""The commit that stands for the version before: until there is a release, one from before the latest features."""
PARTS = ("libs/common", "libs/task", "services/orion", "services/worker")
ROOT = Path(__file__).parents[2]
ORION, WORKER = "orion-before", "worker-before"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The PYTHONPATH of the version before."""
    command = ["git", "-C", str(ROOT), "archive", BEFORE, *PARTS]
    try:
        packed = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the version before, commit {BEFORE}, cannot be had from git here (a shallow clone?): {error}")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return os.pathsep.join(str(folder / part) for part in PARTS)


def requested(log: Path) -> set[str]:
    """The jobs that an Orion took up, by its log."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    return {str(line["job"]) for line in lines if line.get("event") == "job_requested"}


async def submitted(asks: Requester, *labels: str, count: int) -> list[str]:
    return [await asks.submit("nothing", labels=labels) for _ in range(count)]


async def each_ended_once(asks: Requester, jobs: Iterable[str]) -> list[Job]:
    """All of them completed, by one success and one end each, which is told to whoever listens."""
    found = [await asks.clean(job, 60) for job in jobs]
    for job in found:
        assert job.state is State.completed, job.reason
        assert Counter(attempt.outcome for attempt in job.attempts)["succeeded"] == 1
        assert len([event for event in job.events if event.type in {state.value for state in TERMINAL}]) == 1
        told = {event.model_dump_json() for event in asks.heard[job.id] if event.routing_key == "job.completed"}
        assert len(told) == 1, "a message may come twice, and says the same then"
    return found


async def test_every_job_ends_once_while_two_versions_run_and_after_the_upgrade(
    deployed: DeployedPlatform, before: str
) -> None:
    deployment, asks = deployed.deployment, deployed.requester
    code = {"PYTHONPATH": before}
    where = await asyncio.to_thread(
        subprocess.check_output,
        [sys.executable, "-c", "import studio9_orion as o; print(o.__file__)"],
        env=code,
        text=True,
    )
    assert where.startswith(before.partition(os.pathsep)[0].removesuffix(PARTS[0])), "it is the older code that runs"
    worker = {"STUDIO9_WORKER_WORKER_ID": WORKER, "STUDIO9_WORKER_LABELS": "before"}
    deployment.overrides = {**deployment.overrides, ORION: code, WORKER: worker | code}
    await deployed.start(ORION, WORKER)
    held = await asks.submit("train", parameters={"epochs": 3, "wait": True}, labels=("before",))
    jobs: list[str] = []
    for _ in range(4):
        jobs += await submitted(asks, "before", count=2)
        jobs += await submitted(asks, STAYS, count=2)
        jobs += await submitted(asks, count=2)
    pictures = await asks.pictures("predict", "ab.png")
    jobs += [
        await asks.submit("predict", kind="predict", inputs=(pictures,), labels=(label,)) for label in ("before", STAYS)
    ]
    ended = await each_ended_once(asks, jobs)
    assert {job.attempts[-1].worker for job in ended} > {WORKER}
    older = requested(deployment.folder / f"{ORION}.log")
    assert older & set(jobs) and set(jobs) - older, "both versions of Orion take up jobs"
    await asks.working(held, epoch=2)

    for name in (ORION, WORKER):
        deployment.running[name].popen.terminate()
        await asyncio.to_thread(deployment.running[name].popen.wait, 20)
    later = await submitted(asks, STAYS, count=4)
    deployment.overrides = {**deployment.overrides, WORKER: worker}
    await deployed.start(WORKER)
    later += await submitted(asks, "before", count=2)
    with suppress(FileNotFoundError):  # a machine so slow that the worker was lost: its next attempt does not wait
        deployed.task(WORKER, held).root.joinpath("go").touch()
    (one,) = await each_ended_once(asks, [held])
    assert one.result is not None and one.attempts[-1].worker == WORKER, "the newer agent ended what the older began"
    assert bool(one.result.summary["resumed_from"]) == (len(one.attempts) > 1)
    await each_ended_once(asks, later)
    client = ServiceClient(deployment.address("orion-1"), audience="orion", service="operator", keys=deployed.keys)
    await answer_of(client, "POST", f"/v1/workers/{WORKER}/drain", "system", None)
    deployment.running[WORKER].popen.terminate()
    await asyncio.to_thread(deployment.running[WORKER].popen.wait, 20)
