"""Attempts from command to confirmed result, with real tasks under the real shim."""

import signal
from typing import Any

import pytest

from studio9_common.contracts.job import Input


async def test_a_task_succeeds_and_leaves_nothing(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("succeed")
    result = await platform.result(job)
    assert (result.outcome, result.reason, result.attempt, result.fence) == ("succeeded", None, 1, 1)
    assert result.exit.code == 0
    assert result.exit.peak_memory > 1_000_000
    assert result.exit.log_tail == ("hello from the task",)
    manifest = await platform.manifest(result)
    assert (manifest.organisation, manifest.job, manifest.fence, manifest.kind) == ("acme", job, 1, "train")
    by_name = {file.name: file for file in manifest.files}
    assert by_name["result.json"].artifact == "result"
    assert by_name["result.json"].key == f"acme/jobs/{job}/1/outputs/result.json"
    assert await platform.objects.get(by_name["result.json"].key) == b"{}"
    assert await platform.objects.get(by_name["task.log"].key) == b"hello from the task\n"
    await platform.gone(job)
    await platform.until(lambda: not platform.service.agent.lives)
    assert await platform.service.agent.context.state.attempts() == []


async def test_the_task_sees_nothing_of_the_agents_environment(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO9_OBJECTS_SECRET_KEY", "hidden")
    await platform.start_worker(threads=3)
    job = await platform.run("succeed")
    result = await platform.result(job)
    environment = result.summary["environment"]
    assert not [name for name in environment if name.startswith(("STUDIO9", "AWS", "SSH"))]
    folder = str(platform.task_folder(job))
    assert all(environment[name].startswith(folder) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"))
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    assert {environment[name] for name in threads} == {"3"}
    assert result.summary["threads"] == 3
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


ENDINGS = {
    "user_error": ("user_error", "user", "The album has no pictures: add some. (empty_album)"),
    "system_error": ("task_crashed", "platform", "ZeroDivisionError: division by zero (system_error)"),
    "exit_three": ("task_failed", "user", "exit code 3"),
    "no_result": ("bad_output", "user", "no result"),
    "link": ("bad_output", "user", "secret"),
    "missing": ("bad_output", "user", "'nothing.json' was announced, but it is not there"),
    "wrong_hash": ("bad_output", "user", "'result.json' does not have the sha256"),
}


async def test_bad_endings_have_typed_reasons(platform: Any) -> None:
    await platform.start_worker(cpu_slots=len(ENDINGS))
    jobs = {do: await platform.run(do) for do in ENDINGS}
    for do, (code, class_, message) in ENDINGS.items():
        result = await platform.result(jobs[do])
        assert result.outcome == "failed", do
        assert (result.reason.code, result.reason.class_) == (code, class_)
        assert message in result.reason.message
        names = [file.name for file in (await platform.manifest(result)).files]
        assert names == ["task.log"], "of a failure only the log is kept"


async def test_a_crash_names_its_signal_and_keeps_the_last_lines(platform: Any) -> None:
    await platform.start_worker()
    result = await platform.result(await platform.run("crash"))
    assert (result.reason.code, result.exit.signal) == ("task_crashed", signal.SIGSEGV)
    assert "SIGSEGV" in result.reason.message
    assert result.exit.log_tail[0] == "about to crash"


async def test_broken_event_lines_are_counted_and_harmless(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("broken_events")
    result = await platform.result(job)
    assert (result.outcome, result.job) == ("succeeded", job)
    assert result.summary["events"] == {"warnings": 0, "unreadable": 2}
    await platform.gone(job)
    items = [item for batch in platform.telemetry for item in batch.items]
    assert [item.key for item in items] == ["unreadable_event"] * 2


async def test_a_time_limit_is_a_policy(platform: Any) -> None:
    await platform.start_worker()
    result = await platform.result(await platform.run("sleep", max_run_s=5.0))
    assert (result.outcome, result.reason.code, result.reason.class_) == ("failed", "timeout", "policy")
    assert result.checkpoint is not None


async def test_a_command_that_cannot_be_started(platform: Any) -> None:
    await platform.start_worker(task_command="/nonexistent/studio9-task")
    result = await platform.result(await platform.run("succeed"))
    assert (result.reason.code, result.reason.class_) == ("runner_error", "infrastructure")


async def test_an_image_needs_a_container(platform: Any) -> None:
    await platform.start_worker()
    result = await platform.result(await platform.run("succeed", image="sha256:" + "0" * 64))
    assert (result.outcome, result.reason.code) == ("failed", "isolation_required")


async def test_code_of_the_users_own_needs_a_container(platform: Any) -> None:
    await platform.start_worker()
    code = Input(name="code", kind="file", ref=await platform.put("acme/code/1.zip", b"PK"))
    result = await platform.result(await platform.run("succeed", framework="custom", inputs=(code,)))
    assert (result.outcome, result.reason.code, result.reason.class_) == ("failed", "isolation_required", "policy")


async def test_progress_metrics_and_checkpoints_arrive_while_it_runs(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("train", parameters={"epochs": 3, "wait": True})
    seen = await platform.phase(job, "running", epoch=2)
    assert (seen.epochs, seen.metrics) == (3, {"train/loss": 0.5, "map50": 2 / 3})
    with_checkpoint = await platform.until(
        lambda: next((a for b in platform.beats for a in b.attempts if a.checkpoint and a.epoch == 2), None)
    )
    assert await platform.objects.get(with_checkpoint.checkpoint.key) == b"2"
    (platform.task_folder(job) / "go").touch()
    result = await platform.result(job)
    assert result.outcome == "succeeded"
    await platform.gone(job)
    metrics = [(i.key, i.step, i.split) for batch in platform.telemetry for i in batch.items if i.kind == "metric"]
    assert metrics == [(key, step, split) for step in (1, 2, 3) for key, split in (("loss", "train"), ("map50", "val"))]
    assert platform.telemetry[0].sequence == 0
    assert {batch.fence for batch in platform.telemetry} == {1}


async def test_a_checkpoint_is_what_the_next_attempt_resumes_from(platform: Any) -> None:
    await platform.start_worker()
    checkpoint = await platform.put("acme/jobs/j/1/checkpoints/000002-abc.txt", b"2")
    job = await platform.run("train", fence=2, attempt=2, resume=checkpoint)
    result = await platform.result(job, 2)
    assert result.summary["resumed_from"] == 2


async def test_superseded_checkpoints_are_deleted_once_the_newer_was_heard_of(platform: Any) -> None:
    await platform.start_worker(beat_s=0.3)
    job = await platform.run("train", parameters={"epochs": 3, "wait": True})
    await platform.until(lambda: any(a.checkpoint for b in platform.beats for a in b.attempts if a.epoch == 2))
    (platform.task_folder(job) / "go").touch()
    result = await platform.result(job)
    await platform.gone(job)
    left = [info.key async for info in platform.objects.list(f"acme/jobs/{job}/1/checkpoints/")]
    assert left
    assert result.checkpoint.key in left


async def test_telemetry_of_a_chatterer_is_cut_into_messages_under_the_limit(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("chatter", parameters={"lines": 250})
    await platform.result(job)
    await platform.gone(job)
    assert len(platform.telemetry) >= 3
    numbers = [int(item.message.split()[0]) for batch in platform.telemetry for item in batch.items]
    assert numbers == list(range(250))
    sizes = [len(batch.model_dump_json()) for batch in platform.telemetry]
    assert max(sizes) < 60_000
    sequences = [batch.sequence for batch in platform.telemetry]
    assert sequences == sorted(set(sequences))
