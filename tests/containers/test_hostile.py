"""Tasks that mean harm: each is held, ends with its own reason, and leaves a clean machine."""

import os
import socket
import time
from typing import Any

import pytest

from .harness import Platform


async def test_no_network(platform: Platform) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        await platform.start_worker()
        job = await platform.run("network", port=listening.getsockname()[1])
        result = await platform.result(job)
    assert result.outcome == "succeeded"
    assert result.summary["interfaces"] == ["lo"]
    assert "done" not in result.summary["tried"].values()
    assert len(result.summary["tried"]) == 5
    await platform.clean(job)


async def test_nobody_elses_files(platform: Platform) -> None:
    await platform.start_worker(cpu_slots=2)
    other = await platform.run("wait")
    await platform.progress(other)
    secret = platform.task_folder(other).inputs / "marked-secret"
    secret.write_text("of another job")
    job = await platform.run("files", marker="marked-secret", path=str(secret))
    result = await platform.result(job)
    assert result.outcome == "succeeded"
    assert result.summary["found"] == []
    assert set(result.summary["attempts"].values()) <= {"FileNotFoundError", "PermissionError", "OSError"}
    assert len(result.summary["attempts"]) == 12
    writable = {place for place in result.summary["writable"] if not place.startswith(("/dev/", "/tmp"))}
    assert writable == {"/job/outputs", "/job/scratch"}
    assert not [name for name in result.summary["environment"] if name.startswith(("STUDIO9", "AWS", "DOCKER"))]
    (platform.task_folder(other).inputs / "go").touch()
    assert (await platform.result(other)).outcome == "succeeded"
    await platform.clean(job)
    await platform.clean(other)


HELD = {
    "forks": ("process_limit", "user", "processes"),
    "memory": ("out_of_memory", "user", "ran out of memory at 0."),
    "disk": ("disk_limit", "user", "67108864 are allowed"),
    "big_file": ("task_failed", "user", "exit code 1"),
    "log": ("log_flood", "user", "log without end"),
    "link": ("bad_output", "user", "secret"),
    "link_out": ("bad_output", "user", "out"),
    "missing": ("bad_output", "user", "'nothing.json' was announced, but it is not there"),
    "wrong_hash": ("bad_output", "user", "'model.pt' does not have the sha256 that was announced"),
    "wrong_size": ("bad_output", "user", "'model.pt' has 15 bytes, but 1 were announced"),
    "lies": ("task_failed", "user", "exit code 1"),
    "says_it_was_stopped": ("worker_lost", "infrastructure", "nobody here stopped it"),
}


@pytest.mark.parametrize("do", HELD)
async def test_each_ends_with_its_own_reason(platform: Platform, do: str) -> None:
    code, class_, message = HELD[do]
    await platform.start_worker()
    job = await platform.run(do)
    result = await platform.result(job)
    assert (result.outcome, result.reason and result.reason.code) == ("failed", code)
    assert result.reason is not None
    assert result.reason.class_ == class_
    assert message in result.reason.message
    if do == "memory":
        assert result.exit is not None
        assert 200 << 20 < (result.exit.peak_memory or 0) < 270 << 20  # with some pages of shared libraries
    await platform.clean(job)


async def test_without_a_file_system_of_its_own_a_tasks_disk_is_looked_at_often(platform: Platform) -> None:
    await platform.start_worker(own_disk=False)
    job = await platform.run("disk")
    result = await platform.result(job)
    assert (result.outcome, result.reason and result.reason.code) == ("failed", "disk_limit")
    await platform.clean(job)


async def test_files_without_names_are_held_by_a_file_system_of_the_limits_size(platform: Platform) -> None:
    """No walk through folders sees them."""
    if os.geteuid() != 0:
        pytest.skip("only root gives a task a file system of its own")
    await platform.start_worker()
    job = await platform.run("nameless_files")
    result = await platform.result(job)
    assert (result.outcome, result.reason and result.reason.code) == ("failed", "disk_limit")
    await platform.clean(job)


@pytest.mark.parametrize(("code", "reason"), [(0, "bad_output"), (3, "task_failed")])
async def test_exits_at_once(platform: Platform, code: int, reason: str) -> None:
    await platform.start_worker()
    job = await platform.run("exit", code=code)
    result = await platform.result(job)
    assert (result.outcome, result.reason and result.reason.code) == ("failed", reason)
    await platform.clean(job)


async def test_broken_events_and_half_lines_are_counted_and_harmless(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("broken_events")
    result = await platform.result(job)
    assert (result.outcome, result.summary["fine"]) == ("succeeded", True)
    assert result.summary["events"] == {"warnings": 0, "unreadable": 3}
    await platform.clean(job)


async def test_the_name_of_another_job_in_events_means_nothing(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("another_job")
    result = await platform.result(job)
    assert (result.outcome, result.job, result.fence, result.organisation) == ("succeeded", job, 1, "acme")
    assert result.summary["events"]["claims"] == 1
    await platform.clean(job)
    assert {(batch.job, batch.fence, batch.organisation) for batch in platform.telemetry} == {(job, 1, "acme")}
    items = [item for batch in platform.telemetry for item in batch.items]
    assert [item.key for item in items if item.kind == "metric"] == ["loss"]
    assert [item.message for item in items if item.kind == "warning" and "job, fence, organisation" in item.message]


async def test_a_task_that_is_deaf_to_sigterm_is_cancelled(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("deaf")
    await platform.progress(job)
    began = time.monotonic()
    await platform.cancel(job)
    result = await platform.result(job)
    assert (result.outcome, result.exit and result.exit.signal) == ("cancelled", 9)
    assert time.monotonic() - began < 30
    await platform.clean(job)


async def test_a_task_that_is_deaf_ends_at_its_time_limit(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("deaf", max_run_s=3.0)
    result = await platform.result(job)
    assert (result.outcome, result.reason and result.reason.code) == ("failed", "timeout")
    await platform.clean(job)


async def test_the_shim_survives_its_task(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("shim")
    result = await platform.result(job)
    assert (result.outcome, result.summary["shim"]) == ("succeeded", 1)
    await platform.clean(job)


async def test_memory_that_looks_like_a_disk_is_limited(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("shared_memory")
    result = await platform.result(job)
    assert result.outcome == "succeeded"
    assert {place: result.summary[place] >> 20 for place in ("/dev/shm", "/tmp")} == {"/dev/shm": 8, "/tmp": 16}
    await platform.clean(job)


@pytest.mark.parametrize("image", ["debian:latest", "registry.invalid/x@sha256:" + "0" * 64, "sha256:" + "0" * 64])
async def test_an_image_that_is_not_to_be_had(platform: Platform, image: str) -> None:
    await platform.start_worker()
    job = await platform.run("wait", image=image)
    result: Any = await platform.result(job)
    assert (result.outcome, result.reason.code, result.reason.class_) == ("failed", "image_missing", "user")
    await platform.clean(job)


async def test_an_image_without_a_task_in_it(platform: Platform) -> None:
    await platform.start_worker()
    job = await platform.run("wait", image=platform.image)
    result: Any = await platform.result(job)
    assert (result.outcome, result.reason.code, result.reason.class_) == ("failed", "image_unusable", "user")
    assert "studio9_task" in result.reason.message
    await platform.clean(job)
