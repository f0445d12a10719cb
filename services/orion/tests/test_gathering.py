"""What is gathered before it is written: whoever waits is not put off, and what needs no write any more gets none."""

import asyncio
from typing import Any

import pytest

from studio9_common.contracts.collections import BEATS
from studio9_common.contracts.job import Phase, Spec
from studio9_common.contracts.messages import AttemptBeat, Slot, WorkerBeat
from studio9_common.ids import new_id
from studio9_orion.core.events import Assigned, Beat, CancelRequested, Requested, ResultReceived
from studio9_orion.gatherer import Gatherer


def requested(id: str, **changes: Any) -> Requested:
    given: dict[str, Any] = {"job": id, "organisation": "acme", "owner": "ana", "spec": Spec(kind="train")}
    return Requested(**(given | {"request_hash": "h"} | changes))


async def test_what_is_added_again_and_again_still_has_its_turn() -> None:
    done: asyncio.Queue[list[str]] = asyncio.Queue()
    gatherer: Gatherer[str] = Gatherer("test", done.put, pause_s=0.05)
    gatherer.start()

    async def again() -> None:
        while True:
            gatherer.add("a")
            await asyncio.sleep(0.001)

    adding = asyncio.create_task(again())
    async with asyncio.timeout(30):
        assert await done.get() == ["a"]
    adding.cancel()
    await gatherer.stop()


async def test_what_needs_no_work_any_more_gets_none() -> None:
    done: asyncio.Queue[list[str]] = asyncio.Queue()
    gatherer: Gatherer[str] = Gatherer("test", done.put, pause_s=0.01)
    for item in ("a", "b"):
        gatherer.add(item)
    gatherer.discard("a")
    gatherer.start()
    async with asyncio.timeout(30):
        assert await done.get() == ["b"]
    await gatherer.stop()
    assert done.empty()


async def test_an_attempt_that_ends_at_once_is_never_written_as_running(world: Any) -> None:
    orion, id = world.orion(), new_id()
    await world.listen("worker.w1.v1", "worker.*.w1")
    await orion.shell.apply([(id, requested(id)), (id, Assigned(worker="w1"))])
    result = ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded")
    await orion.shell.apply([(id, result)])
    await orion.supervisor._begin([(id, Beat(worker="w1", fence=1, phase="running"))])
    assert [event.type for event in (await world.job(id)).events] == ["requested", "queued", "assigned", "completed"]


@pytest.mark.parametrize("quicker", [False, True])
async def test_the_first_beat_of_an_attempt_is_noted_when_its_job_moves(world: Any, quicker: bool) -> None:
    orion, id = world.orion(), new_id()
    await world.listen("worker.w1.v1", "worker.*.w1")
    await orion.shell.apply([(id, requested(id)), (id, Assigned(worker="w1"))])
    orion.supervisor.start()
    attempt = AttemptBeat(job=id, organisation="acme", fence=1, sequence=1, phase="running")
    await orion.supervisor.take_beats(
        [WorkerBeat(worker="w1", instance="i", sequence=1, slots=(Slot(id="s1"),), attempts=(attempt,))]
    )
    assert (await world.job(id)).phase is Phase.assigned
    if quicker:
        result = ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded")
        await orion.shell.apply([(id, result)])
    await orion.supervisor.stop()
    noted = (await world.store.get_many(BEATS.name, [f"{id}:1"]))[0]
    job = await world.job(id)
    if quicker:
        assert noted is None and job.phase is Phase.cleaning
    else:
        assert noted.body["worker"] == "w1" and job.phase is Phase.running


async def test_a_batch_is_not_followed_at_once_by_the_next() -> None:
    loop = asyncio.get_running_loop()
    done: asyncio.Queue[float] = asyncio.Queue()

    async def work(items: list[str]) -> None:
        done.put_nowait(loop.time())

    gatherer: Gatherer[str] = Gatherer("test", work, every_s=0.1)
    gatherer.start()
    async with asyncio.timeout(30):
        gatherer.add("a")
        first = await done.get()
        gatherer.add("b")
        assert await done.get() - first >= 0.09
    await gatherer.stop()


async def test_a_job_of_this_orion_is_cleaned_without_being_read(world: Any) -> None:
    orion, id = world.orion(), new_id()
    await orion.shell.apply([(id, requested(id))])
    await orion.shell.apply([(id, CancelRequested(job=id, organisation="acme", requested_by="ana"))])
    read: list[str] = []
    known = orion.shell.jobs.store.get_many

    async def get_many(collection: str, ids: Any, **options: Any) -> Any:
        read.extend(ids if collection == "jobs" else ())
        return await known(collection, ids, **options)

    orion.shell.jobs.store.get_many = get_many
    await orion.cleaner.clean([id])
    assert read == []
    assert (await world.job(id)).phase is Phase.clean


async def test_what_this_orion_wrote_long_ago_is_read_again(world: Any) -> None:
    one, other, id = world.orion(), world.orion(), new_id()
    await one.shell.apply([(id, requested(id))])
    await other.shell.apply([(id, CancelRequested(job=id, organisation="acme", requested_by="ana"))])
    jobs = one.shell.jobs
    assert (await jobs.load_recent([id], within_s=3_600))[id].job.phase is Phase.queued
    assert (await jobs.load_recent([id], within_s=0))[id].job.phase is Phase.cleaning


async def test_relatives_are_searched_once_for_each_end(world: Any) -> None:
    orion, id = world.orion(), new_id()
    await orion.shell.apply([(id, requested(id))])
    await orion.shell.apply([(id, CancelRequested(job=id, organisation="acme", requested_by="ana"))])
    searched: list[Any] = []
    known = orion.shell.jobs.related_to

    async def related_to(ended: Any) -> Any:
        searched.append(list(ended))
        return await known(ended)

    orion.shell.jobs.related_to = related_to
    await orion.cleaner.clean([id])
    await orion.cleaner.clean([id])
    assert searched == [[id]]


async def test_a_first_beat_that_was_held_back_does_not_take_a_newer_one_back(world: Any) -> None:
    """An Orion that froze with it in hand writes it when it wakes up; another has heard the attempt since."""
    frozen, awake, id = world.orion(), world.orion(), new_id()
    await world.listen("worker.w1.v1", "worker.*.w1")
    await frozen.shell.apply([(id, requested(id)), (id, Assigned(worker="w1"))])
    frozen.supervisor.start()

    def beat(sequence: int) -> WorkerBeat:
        attempt = AttemptBeat(job=id, organisation="acme", fence=1, sequence=sequence, phase="running")
        return WorkerBeat(worker="w1", instance="i", sequence=sequence, slots=(Slot(id="s1"),), attempts=(attempt,))

    await frozen.supervisor.take_beats([beat(1)])
    world.clock.pass_(30)
    await awake.supervisor.take_beats([beat(2)])
    newer = (await world.store.get_many(BEATS.name, [f"{id}:1"]))[0]
    await frozen.supervisor.stop()
    assert newer is not None and newer.body["sequence"] == 2
    assert (await world.store.get_many(BEATS.name, [f"{id}:1"]))[0] == newer
