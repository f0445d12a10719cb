"""What Orion may say at any time, in any order, any number of times."""

import asyncio
import sqlite3
from collections import Counter
from typing import Any

from studio9_common.bus.port import BusUnavailable, Outgoing
from studio9_common.contracts.job import Requirements
from studio9_common.ids import new_id


async def test_beats_go_out_twice_while_nobody_answers(platform: Any) -> None:
    answer = platform._answer

    async def frozen(_: Any) -> None:
        """An Orion that takes its share of the beats in silence."""

    platform._answer = frozen
    await platform.start_worker(lease_s=0.8, beat_s=0.31)
    await platform.until(lambda: 2 in Counter(beat.sequence for beat in platform.beats).values())
    assert platform.beats[0].sequence != platform.beats[1].sequence, "nobody is frozen at first"
    platform._answer = answer
    before = platform.beats[-1].sequence
    await platform.until(lambda: platform.beats[-1].sequence > before + 4)
    later = Counter(beat.sequence for beat in platform.beats if beat.sequence > before + 2)
    assert set(later.values()) == {1}


async def test_a_cancel_ends_a_running_task_gently(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("sleep")
    await platform.phase(job, "running", progress=0.5)
    await platform.cancel(job)
    result = await platform.result(job)
    assert (result.outcome, result.reason, result.exit.code) == ("cancelled", None, 75)
    assert await platform.objects.get(result.checkpoint.key) == b"7"
    await platform.gone(job)
    await platform.run("succeed", job=job)
    assert await platform.until(lambda: _refusals(platform, job))
    assert len([one for one in platform.results if one.job == job]) == 1


async def test_a_task_that_ignores_sigterm_is_killed_after_the_grace(platform: Any) -> None:
    await platform.start_worker(stop_grace_s=60)
    job = await platform.run("stubborn")
    await platform.phase(job, "running", progress=0.1)
    await platform.cancel(job, grace_s=0.5)
    result = await platform.result(job)
    assert (result.outcome, result.exit.signal) == ("cancelled", 9), "the cancel's grace counts, not the worker's own"


async def test_a_cancel_before_the_run_keeps_it_from_ever_starting(platform: Any) -> None:
    await platform.start_worker()
    job = new_id()
    await platform.cancel(job, fence=3)
    first = await platform.result(job, 3)
    assert (first.outcome, first.exit) == ("cancelled", None), "nothing runs here, and nothing will"
    await platform.run("succeed", job=job, fence=3)
    await platform.until(lambda: len(platform.results) == 2)
    assert platform.results[1].outcome == "cancelled"
    assert not platform.task_folder(job, 3).exists()
    await platform.run("succeed", job=job, fence=4, attempt=2)
    assert (await platform.result(job, 4)).outcome == "succeeded", "a later attempt is another matter"


async def test_a_duplicate_is_ignored_and_a_stale_fence_refused_silently(platform: Any) -> None:
    await platform.start_worker(cpu_slots=2)
    job = await platform.run("train", fence=5, parameters={"wait": True})
    await platform.phase(job, "running")
    await platform.run("train", job=job, fence=5, parameters={"wait": True})
    await platform.run("succeed", job=job, fence=4)
    assert await platform.until(lambda: _refusals(platform, job)) == [(job, 4, "stale", 1)]
    assert [life.record.key.fence for life in platform.service.agent.lives] == [5]
    (platform.task_folder(job, 5) / "go").touch()
    await platform.result(job, 5)
    assert {result.fence for result in platform.results} == {5}


async def test_without_a_free_slot_the_run_is_refused_and_its_fence_is_spent(platform: Any) -> None:
    await platform.start_worker()
    first = await platform.run("train", parameters={"wait": True})
    await platform.phase(first, "running")
    second = await platform.run("succeed")
    result = await platform.result(second)
    assert (result.outcome, result.reason.code, result.reason.class_) == ("refused", "no_slot", "infrastructure")
    (platform.task_folder(first) / "go").touch()
    await platform.result(first)
    await platform.run("succeed", job=second)
    assert await platform.until(lambda: _refusals(platform, second, "stale"))
    await platform.run("succeed", job=second, fence=2)
    assert (await platform.result(second, 2)).outcome == "succeeded"


async def test_what_the_worker_does_not_have_is_refused(platform: Any) -> None:
    await platform.start_worker(labels="big, quick")
    result = await platform.result(await platform.run("succeed", requirements=Requirements(gpus=1)))
    assert (result.outcome, result.reason.code) == ("refused", "no_slot")
    result = await platform.result(await platform.run("succeed", requirements=Requirements(labels=("quiet",))))
    assert (result.outcome, result.reason.code) == ("refused", "no_slot")
    result = await platform.result(await platform.run("succeed", requirements=Requirements(labels=("quick",))))
    assert result.outcome == "succeeded"


async def test_a_lease_that_says_stop_ends_the_task(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("sleep")
    await platform.phase(job, "running", progress=0.5)
    platform.decide = lambda job, fence, phase: "confirmed" if phase == "ended" else "stop"
    await platform.gone(job)
    result = await platform.result(job)
    assert (result.outcome, result.reason) == ("cancelled", None)


async def test_a_newer_fence_takes_the_slot_of_the_older(platform: Any) -> None:
    await platform.start_worker()
    job = await platform.run("sleep", fence=1)
    await platform.phase(job, "running", progress=0.5)
    await platform.run("succeed", job=job, fence=2, attempt=2)
    assert (await platform.result(job, 2)).outcome == "succeeded"
    assert (await platform.result(job, 1)).outcome == "cancelled"


async def test_a_result_is_sent_until_it_is_confirmed(platform: Any) -> None:
    await platform.start_worker()
    platform.decide = lambda job, fence, phase: "keep"
    job = await platform.run("succeed")
    await platform.until(lambda: len([one for one in platform.results if one.job == job]) >= 3)
    assert len({one.model_dump_json() for one in platform.results}) == 1
    other = await platform.run("succeed")
    assert (await platform.result(other)).outcome == "succeeded", "a result that waits needs no slot"
    assert platform.task_folder(job).exists()
    platform.decide = platform.confirm_all
    await platform.gone(job)


async def test_a_job_that_orion_does_not_know_goes_on(platform: Any) -> None:
    await platform.start_worker()
    platform.decide = lambda job, fence, phase: None
    job = await platform.run("train", parameters={"wait": True})
    await platform.phase(job, "running")
    (platform.task_folder(job) / "go").touch()
    assert (await platform.result(job)).outcome == "succeeded"


async def test_a_cut_off_task_goes_on_until_the_grace_is_over(platform: Any) -> None:
    await platform.start_worker(disconnect_grace_s=4.0)
    platform.decide = lambda job, fence, phase: None
    job = await platform.run("sleep")
    await platform.phase(job, "running", progress=0.5)
    result = await platform.result(job)
    assert (result.outcome, result.reason.code) == ("failed", "worker_lost")
    assert result.checkpoint is not None


async def test_a_broker_that_is_away_costs_nothing(platform: Any) -> None:
    real = platform.bus
    broker = platform.bus = Cut(real)
    await platform.start_worker(beat_s=0.5)
    job = await platform.run("train", parameters={"epochs": 4, "wait": True})
    await platform.phase(job, "running")
    broker.away = True
    (platform.task_folder(job) / "go").touch()
    life = platform.service.agent.lives[0]
    await asyncio.wait_for(life.vacated.wait(), 20)
    assert not platform.results
    broker.away = False
    result = await platform.result(job)
    assert (result.outcome, result.fence) == ("succeeded", 1)
    await platform.gone(job)
    steps = [i.step for b in platform.telemetry for i in b.items if i.key == "loss"]
    assert steps == [1, 2, 3, 4]
    platform.bus = real


async def test_messages_that_are_none_of_its_business_harm_nothing(platform: Any) -> None:
    service = await platform.start_worker()
    await platform.until(lambda: platform.beats)
    await platform.bus.publish(Outgoing("worker.run.w1", b"no json", new_id()))
    await platform.run("succeed", job="../../escape")
    assert await platform.until(lambda: service._subscriber.counters.dead_lettered == 2)
    job = await platform.run("succeed")
    assert (await platform.result(job)).outcome == "succeeded"


class Cut:
    """The bus behind a line that can be cut: nothing goes out while it is."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self.away = False

    async def publish(self, message: Any) -> None:
        if self.away:
            raise BusUnavailable
        await self._bus.publish(message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


def _refusals(platform: Any, job: str, why: str | None = None) -> list[Any]:
    """What the worker's state says it refused; read beside the agent."""
    database = sqlite3.connect(platform.folder / "worker" / "worker.sqlite")
    try:
        rows = database.execute("SELECT job, fence, why, count FROM refusals WHERE job = ?", (job,)).fetchall()
    finally:
        database.close()
    return [row for row in rows if why in (None, row[2])]
