"""Jobs through Orion, Aries, a worker with real tasks, and Pegasus: every way that a job can go."""

import asyncio
import time
from typing import Any

from studio9_common.contracts.job import Input, ObjectRef, Phase, State
from studio9_common.ids import new_id

from .requester import Requester

STARTED = ["job.accepted", "job.queued", "job.started"]


def life(asks: Requester, job: str) -> list[str]:
    """What was heard of a job, each once, as it may be sent again; without progress, which comes when it comes."""
    return [key for key in dict.fromkeys(asks.keys(job)) if key != "job.progress"]


async def test_a_training_from_request_to_clean(platform: Any, asks: Requester) -> None:
    pictures = await asks.pictures("train", "a.png", "b.png")
    job = await asks.submit("train", inputs=(pictures,), parameters={"epochs": 3, "wait": True})
    running = await asks.working(job, epoch=2)
    assert running.state is State.running
    progress = await asks.event(job, "job.progress", lambda event: event.epoch == 2)
    assert 0.6 < progress.progress < 0.7 and progress.epochs == 3 and progress.remaining_s == 1.0
    assert progress.metrics["train/loss"] == 0.5 and progress.context == {"experiment": "e1"}
    platform.task(running.attempts[-1].worker, job).root.joinpath("go").touch()

    done = await asks.completed(job)
    assert done.result is not None
    assert done.result.summary["pictures"] == 2
    manifest = await asks.manifest(done)
    files = {file.name: file for file in manifest.files}
    assert await asks.objects.get(files["model.pt"].key) == b"weights"
    told = await asks.event(job, "job.completed")
    assert told.manifest == done.result.manifest and told.context == {"experiment": "e1"}
    await asks.clean(job)
    assert life(asks, job) == [*STARTED, "job.completed"]
    assert await asks.losses(job, 3) == [1, 2, 3]
    await platform.gone(running.attempts[-1].worker, job)


async def test_a_prediction_is_loaded_once_and_its_job_knows(platform: Any, asks: Requester) -> None:
    pictures = await asks.pictures("predict", "ab.png", "c.png", ".png")
    job = await asks.submit("predict", kind="predict", inputs=(pictures,))
    done = await asks.completed(job)
    found = await asks.clean(job)
    assert {name: (output.state, output.rows) for name, output in found.outputs.items()} == {
        "predictions": ("loaded", 3)
    }
    manifest = await asks.manifest(done)
    assert manifest.predictions is not None
    assert (manifest.predictions.rows, manifest.predictions.pictures_without) == (3, 1)

    await asks.send(await asks.event(job, "job.completed"))  # once more, as after a lost acknowledgement
    again = await asks.submit("predict", kind="predict", inputs=(pictures,))
    await asks.clean(again)
    sql = f"SELECT label, picture_filename, model_version, commit IS NOT NULL FROM predictions WHERE job = '{job}'"
    rows = await platform.rows(sql)
    assert sorted(row[:3] for row in rows) == [
        ["a", "ab.png", "mv1"], ["b", "ab.png", "mv1"], ["c", "c.png", "mv1"]
    ]  # fmt: skip


async def test_an_error_of_the_user_is_not_tried_again(asks: Requester) -> None:
    job = await asks.submit("user_error")
    failed = await asks.clean(job)
    assert (failed.state, len(failed.attempts)) == (State.failed, 1)
    assert failed.reason is not None and "no pictures" in failed.reason.message
    told = await asks.event(job, "job.failed")
    assert told.reason == failed.reason


async def test_an_infrastructure_error_is_tried_again_and_then_ends(asks: Requester) -> None:
    nowhere = ObjectRef(key=f"{asks.organisation}/datasets/{new_id()}", sha256="0" * 64, size=1)
    job = await asks.submit("train", inputs=(Input(name="train", kind="pictures", ref=nowhere),))
    failed = await asks.ended(job, 60)
    assert (failed.state, len(failed.attempts)) == (State.failed, 4)
    assert failed.reason is not None and failed.reason.code == "staging_error"
    assert len({attempt.fence for attempt in failed.attempts}) == 4
    await asks.clean(job)


async def test_a_waiting_job_can_be_cancelled(asks: Requester) -> None:
    job = await asks.submit("nothing", labels=["on-no-worker"])
    await asks.in_phase(job, Phase.queued)
    await asks.cancel(job)
    cancelled = await asks.clean(job)
    assert (cancelled.state, cancelled.attempts) == (State.cancelled, ())
    assert life(asks, job) == ["job.accepted", "job.queued", "job.cancelled"]


async def test_a_running_job_can_be_cancelled_and_keeps_its_checkpoint(platform: Any, asks: Requester) -> None:
    job = await asks.submit("until_stopped")
    running = await asks.until(job, lambda found: found.checkpoint is not None)
    await asks.cancel(job)
    cancelled = await asks.ended(job, 10)
    assert cancelled.state is State.cancelled
    assert cancelled.checkpoint is not None and await asks.objects.get(cancelled.checkpoint.key) == b"7"
    await asks.clean(job)
    await platform.gone(running.attempts[-1].worker, job)


async def test_a_task_that_does_not_listen_is_killed(platform: Any, asks: Requester) -> None:
    job = await asks.submit("stubborn")
    running = await asks.in_phase(job, Phase.running)
    await asks.cancel(job)
    assert (await asks.ended(job, 12)).state is State.cancelled
    await platform.gone(running.attempts[-1].worker, job)


async def test_a_cancel_after_the_end_changes_nothing(asks: Requester) -> None:
    job = await asks.submit("nothing")
    done = await asks.clean(job)
    await asks.cancel(job)
    other = await asks.submit("nothing")
    await asks.clean(other)
    later = await asks.in_phase(job, Phase.clean)
    assert (later.state, later.ended_at) == (done.state, done.ended_at) == (State.completed, done.ended_at)


async def test_a_cancel_before_its_request_wins(asks: Requester) -> None:
    request = asks.request("nothing")
    await asks.cancel(request.job)
    await asks.until(request.job, lambda found: found.state is State.cancelled)
    await asks.send(request)
    await asks.event(request.job, "job.cancelled")
    await asks.completed(await asks.submit("nothing"))
    found = await asks.clean(request.job)
    assert (found.state, found.attempts) == (State.cancelled, ())


async def test_a_request_that_comes_twice_runs_once(asks: Requester) -> None:
    request = asks.request("nothing")
    await asyncio.gather(*(asks.send(request) for _ in range(5)))
    await asks.completed(request.job)
    await asks.send(request)
    await asks.completed(await asks.submit("nothing"))
    found = await asks.clean(request.job)
    assert len(found.attempts) == 1
    assert [event.type for event in found.events].count("requested") <= 1


async def test_a_job_goes_on_elsewhere_when_its_worker_is_lost(platform: Any, asks: Requester) -> None:
    job = await asks.submit("train", parameters={"epochs": 3, "wait": True})
    running = await asks.working(job, epoch=2)
    lost = running.attempts[-1].worker
    await platform.kill(lost)
    try:
        done = await asks.completed(job, 40)
        assert [attempt.outcome for attempt in done.attempts] == ["lost", "succeeded"]
        assert done.attempts[1].worker != lost and done.attempts[1].fence > done.attempts[0].fence
        assert done.result is not None and done.result.summary["resumed_from"] >= 1
        assert platform.task(lost, job).root.exists(), "its task goes on computing there"
    finally:
        await platform.start(lost)
    await platform.gone(lost, job)
    assert (await asks.clean(job)).result == done.result
    for _ in range(40):  # what the lost attempt left in the storage goes with a sweep, whenever its worker came back
        if await _fences(asks, job) == {"2"}:
            break
        await asyncio.sleep(0.5)
    assert await _fences(asks, job) == {"2"}


async def test_a_worker_that_comes_back_in_time_goes_on(platform: Any, asks: Requester) -> None:
    job = await asks.submit("train", parameters={"epochs": 3, "wait": True})
    running = await asks.working(job, epoch=2)
    name = running.attempts[-1].worker
    began = time.monotonic()
    await platform.kill(name)
    await platform.start(name)
    in_time = time.monotonic() - began < 0.8 * platform.lease_s  # a busy machine starts a process slowly
    platform.task(name, job).root.joinpath("go").touch()
    done = await asks.completed(job)
    outcomes = [attempt.outcome for attempt in done.attempts]
    assert outcomes == ["succeeded"] or (not in_time and outcomes == ["lost", "succeeded"])
    losses = await asks.losses(job, 3)
    if outcomes == ["succeeded"]:
        assert done.result is not None and done.result.summary["resumed_from"] == 0
        assert losses == [1, 2, 3]
    else:  # the lost attempt may have told of its last epoch before it was stopped
        assert losses in ([1, 2, 3], [1, 2, 3, 3])


async def test_every_queue_may_be_deleted_in_mid_run(platform: Any, asks: Requester) -> None:
    running = await asks.submit("train", parameters={"epochs": 3, "wait": True})
    found = await asks.working(running, epoch=2)
    waiting = await asks.submit("nothing", labels=["on-no-worker"])
    await asks.in_phase(waiting, Phase.queued)
    await platform.delete_queues()
    platform.task(found.attempts[-1].worker, running).root.joinpath("go").touch()
    done = await asks.completed(running, 60)
    assert len(done.attempts) == 1
    await asks.cancel_until_heard(waiting)
    assert (await asks.ended(waiting)).state is State.cancelled
    await asks.clean(running)


async def test_a_job_waits_for_those_it_depends_on(platform: Any, asks: Requester) -> None:
    first = asks.request("train", parameters={"epochs": 2, "wait": True})
    second = asks.request("nothing").model_copy(update={"depends_on": (first.job,)})
    await asks.send(second)
    await asks.in_phase(second.job, Phase.submitted)
    await asks.send(first)
    running = await asks.working(first.job)
    platform.task(running.attempts[-1].worker, first.job).root.joinpath("go").touch()
    done, after = await asks.completed(first.job), await asks.completed(second.job)
    assert done.ended_at is not None and after.attempts[0].assigned_at >= done.ended_at

    failing = asks.request("user_error")
    hopeless = asks.request("nothing").model_copy(update={"depends_on": (failing.job,)})
    await asks.send(hopeless)
    await asks.send(failing)
    ended = await asks.clean(hopeless.job)
    assert (ended.state, ended.attempts) == (State.failed, ())
    assert ended.reason is not None and ended.reason.code == "dependency_failed"


async def test_a_cancelled_training_can_be_taken_up_again(platform: Any, asks: Requester) -> None:
    job = await asks.submit("train", parameters={"epochs": 3, "wait": True})
    await asks.working(job, epoch=2)
    await asks.cancel(job)
    assert (await asks.clean(job)).state is State.cancelled
    answer = await platform.ask("orion", "POST", f"/v1/jobs/{job}/retry")
    done = await asks.completed(answer["job"])
    assert done.retried_from == job
    assert done.result is not None and done.result.summary["resumed_from"] >= 1


async def test_other_organisations_see_nothing(asks: Requester) -> None:
    job = await asks.submit("train", parameters={"epochs": 1})
    await asks.clean(job)
    assert await asks.aries.get_jobs([job], organisation=f"{asks.organisation}-not") == [None]
    assert len(await asks.telemetry(job)) > 0
    asks.organisation, mine = f"{asks.organisation}-not", asks.organisation
    assert await asks.telemetry(job) == []
    await asks.cancel(job)
    asks.organisation = mine
    await asks.clean(await asks.submit("nothing"))
    assert (await asks.in_phase(job, Phase.clean)).state is State.completed


async def test_predictions_that_cannot_be_loaded_do_not_hold_their_job(platform: Any, asks: Requester) -> None:
    await platform.kill("pegasus")
    try:
        job = await asks.submit("predict", kind="predict", inputs=(await asks.pictures("predict", "ab.png"),))
        manifest = await asks.manifest(await asks.completed(job))
        assert manifest.predictions is not None
        await asks.objects.delete(manifest.predictions.parts[0].key)
    finally:
        await platform.start("pegasus")
    output = (await asks.clean(job)).outputs["predictions"]
    assert output.state == "failed" and output.message
    assert await platform.rows(f"SELECT label FROM predictions WHERE job = '{job}'") == []


async def _fences(asks: Requester, job: str) -> set[str]:
    """The attempts that have objects."""
    prefix = f"{asks.organisation}/jobs/{job}/"
    return {info.key.removeprefix(prefix).partition("/")[0] async for info in asks.objects.list(prefix)}
