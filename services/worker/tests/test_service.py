"""The service as a whole: beats, health, status, settings."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from studio9_common.settings import BadSettings
from studio9_common.tokens import Caller, TokenKeys
from studio9_worker.settings import WorkerSettings


async def test_the_first_beats_carry_the_catalogue_until_one_is_answered(platform: Any) -> None:
    real, platform.send = platform.send, _nowhere
    await platform.start_worker(labels="lab")
    await platform.until(lambda: len([beat for beat in platform.beats if beat.announcement]) >= 2)
    announced = platform.beats[-1]
    assert announced.announcement["tasks"] == [{"kind": "train", "framework": "yolo"}]
    assert (announced.labels, announced.runners) == (("lab",), ("process",))
    assert [(slot.id, slot.kind, slot.job) for slot in announced.slots] == [("cpu-0", "cpu", None)]
    platform.send = real
    await platform.until(lambda: platform.beats[-1].announcement is None)


async def test_a_beat_shows_the_slot_in_use(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("train", parameters={"wait": True})
    await platform.phase(job, "running")
    assert platform.beats[-1].slots[0].job == job
    sequences = [beat.sequence for beat in platform.beats]
    assert sequences == sorted(set(sequences))
    (platform.task_folder(job) / "go").touch()
    await platform.gone(job)
    await platform.until(lambda: platform.beats[-1].slots[0].job is None)


async def test_health_and_status(platform: Any) -> None:
    keys = TokenKeys.generate()
    service = await platform.start_worker(token_keys=SecretStr(keys))
    await platform.until(lambda: platform.beats)
    job = await platform.run("train", parameters={"wait": True})
    await platform.phase(job, "running")
    token = TokenKeys(keys).sign(Caller("operator", "system"), "worker")
    transport = httpx.ASGITransport(service.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        assert (await client.get("/v1/status")).status_code == 401
        status = (await client.get("/v1/status", headers={"Authorization": f"Bearer {token}"})).json()
    assert (status["worker"], status["refused"]) == ("w1", 0)
    (attempt,) = status["attempts"]
    assert (attempt["attempt"]["job"], attempt["lease"], attempt["stop"]) == (job, "leased", None)
    (platform.task_folder(job) / "go").touch()
    await platform.gone(job)


async def test_the_worker_keeps_the_id_that_it_made(platform: Any) -> None:
    first = (await platform.start_worker(worker_id="")).agent.context.worker
    await platform.stop_worker()
    assert (await platform.start_worker(worker_id="")).agent.context.worker == first


def test_settings_come_from_the_environment() -> None:
    settings = WorkerSettings.load(
        environment={
            "STUDIO9_WORKER_LABELS": "a, b,a",
            "STUDIO9_WORKER_TRAINERS_PYTHON": "/t/bin/python",
            "STUDIO9_WORKER_STOP_TASKS_ON_EXIT": "true",
        }
    )
    assert settings.label_set == ("a", "b")
    assert settings.command == ("/t/bin/studio9-task",)
    assert settings.grace_s < 10
    assert WorkerSettings(task_command="python 'my task.py'").command == ("python", "my task.py")
    with pytest.raises(BadSettings, match="worker_id"):
        WorkerSettings.load(environment={"STUDIO9_WORKER_WORKER_ID": "with.dots"})
    assert settings.state_dir == Path("state")


async def _nowhere(*_: Any, **__: Any) -> None:
    return
