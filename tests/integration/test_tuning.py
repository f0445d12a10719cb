"""A search on the platform: a parent whose trials are jobs of their own, in Orion, Aries and two workers."""

import json
import shlex
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studio9_common.contracts.collections import JOBS
from studio9_common.contracts.job import Input, Job, Phase, State
from studio9_common.documents.port import Where

from .embedded import EmbeddedPlatform
from .requester import Requester

VARY = {"rate": {"kind": "float", "low": 1e-4, "high": 0.1, "log": True}}
PARAMETERS: dict[str, Any] = {
    "framework": "yolo", "vary": VARY, "trials": 2, "at_once": 2,
    "train": {"architecture": "YOLO11N", "head": "YOLO_HEAD", "head_parameters": {"epochs": 3}},
}  # fmt: skip


@dataclass(frozen=True)
class Search:
    """Who asks for a search, on what, and the folder that all its tasks share."""

    asks: Requester
    pictures: Input
    shared: Path


@pytest.fixture
async def search(tmp_path: Path, trainers_python: Path) -> AsyncIterator[Search]:
    shared = tmp_path / "shared"
    shared.mkdir()
    program = shutil.copy(Path(__file__).parent / "tuning_program.py", shared)
    command = shlex.join((str(trainers_python), str(program)))
    async with EmbeddedPlatform.opened(tmp_path / "platform", task_command=command) as platform:
        asks = platform.requester
        yield Search(asks, await asks.pictures("train", "a.png"), shared)


async def left(asks: Requester) -> set[str]:
    """The keys of all that is there of jobs, whoever has made it."""
    return {info.key async for info in asks.objects.list(f"{asks.organisation}/jobs/")}


async def children_of(asks: Requester, parent: str) -> list[Job]:
    found = asks.aries.search_all(
        JOBS.name, Where(equals={"parent": parent}), organisation=asks.organisation, fresh=True
    )
    stored = await asks.aries.get_jobs([one.id async for one in found])
    return [one[0] for one in stored if one is not None]


def codes(job: Job) -> list[str]:
    """Why its attempts failed."""
    return [one.reason.code for one in job.attempts if one.reason]


async def test_a_search_ends_though_its_parent_dies_and_a_trial_is_lost(search: Search) -> None:
    asks, shared = search.asks, search.shared
    job = await asks.submit(
        "nothing", kind="tune", framework="studio9", inputs=(search.pictures,), parameters=PARAMETERS, seed=3
    )
    done = await asks.completed(job, within_s=120)
    assert {path.name for path in shared.iterdir()} >= {"parent", "trial-1", "trial-2"}, "all three have died"
    await asks.clean(job)

    assert done.result is not None
    summary = done.result.summary
    assert len(summary["trials"]) == 2 and len(summary["values"]) == 3
    assert {one["state"] for one in summary["trials"]} <= {"done", "pruned"}, "none failed for having been lost"
    assert codes(done).count("task_crashed") == 1, "the parent was killed once"
    files = {file.name: file for file in (await asks.manifest(done)).files}
    assert (await asks.objects.get(files["model.pt"].key)).decode() == "model of 6", "of the seed that reached most"
    study = json.loads(await asks.objects.get(files["study.json"].key))
    assert study["format"] == "studio9-study" and len(study["winners"]) == 3

    children = await children_of(asks, job)
    assert all(one.state in {State.completed, State.failed} for one in children)
    assert all(one.owner == done.owner and one.spec.kind == "trial" for one in children)
    lost = [one for one in children if one.state is State.failed]
    assert [codes(one).count("task_crashed") for one in lost] == [2], "Orion had tried it again by itself"
    went_on = [one.result.summary for one in children if one.result and one.result.summary["before"]]
    assert went_on and all(one["before"].endswith("after 1") and one["epochs_done"] == 3 for one in went_on)
    assert len(children) == done.children_made, "a run that was lost asked for nothing twice"
    for one in children:
        found = await asks.until(one.id, lambda found: found.phase is Phase.clean)
        assert "outputs_removed" in [event.type for event in found.events]
        assert found.reason == one.reason and found.attempts[-1].exit is not None, "why it failed can still be read"
    assert done.result.manifest is not None
    assert await left(asks) == {done.result.manifest.key, *(file.key for file in (await asks.manifest(done)).files)}


async def test_a_search_that_is_cancelled_takes_its_trials_along(search: Search) -> None:
    asks, shared = search.asks, search.shared
    (shared / "hold").touch()
    job = await asks.submit(
        "nothing", kind="tune", framework="studio9", inputs=(search.pictures,), parameters=PARAMETERS
    )
    waiting = await asks.until(job, lambda found: bool(found.children), within_s=120)
    assert waiting.phase is Phase.backing_off and waiting.state is State.queued
    await asks.until(waiting.children[0].job, lambda found: found.phase is Phase.running)
    await asks.cancel_until_heard(job)
    assert (await asks.ended(job)).state is State.cancelled
    for child in waiting.children:
        found = await asks.clean(child.job)
        assert found.state is State.cancelled and found.reason is not None and found.reason.code == "parent_ended"
    assert (await asks.clean(job)).checkpoint is not None
    assert {key.split("/")[2] for key in await left(asks)} == {job}, "only the study, for a search that goes on from it"
