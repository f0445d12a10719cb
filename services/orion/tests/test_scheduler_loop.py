"""The scheduler over real parts: what it hears, what it finds without hearing of it, and who leads."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from studio9_common.clients.aries import BulkItem
from studio9_common.contracts.collections import JOBS, MEMBERS, SCHEDULER, USAGE, job_document
from studio9_common.contracts.envelope import encode
from studio9_common.contracts.job import Phase, Requirements, Spec
from studio9_common.contracts.messages import JobCompleted, JobQueued, SchedulerCall, Slot, WorkerBeat
from studio9_common.contracts.waiting import SNAPSHOT, why_waiting
from studio9_common.documents.port import Where
from studio9_common.errors import Unavailable
from studio9_common.ids import new_id
from studio9_common.times import format_time
from studio9_orion.core import Policy, decide
from studio9_orion.core.events import Beat, CancelRequested, PriorityChanged, Requested, ResultReceived, Tick
from studio9_orion.store import get, swap
from studio9_orion.workers import seen


def requested(**changes: Any) -> Requested:
    given: dict[str, Any] = {
        "job": new_id(),
        "organisation": "acme",
        "owner": "ana",
        "spec": Spec(kind="train"),
        "request_hash": "h",
    }
    return Requested(**(given | changes))


class Stand:
    """An Orion whose loops do not run, and workers that only beat."""

    def __init__(self, world: Any, name: str) -> None:
        self.world = world
        self.orion = world.orion(name=name)
        self.scheduler = self.orion.scheduler
        self.shell = self.orion.shell

    async def request(self, **changes: Any) -> str:
        """A job that nobody tells the scheduler of."""
        event = requested(**changes)
        await self.shell.apply([(event.job, event)])
        return event.job

    async def beat(self, worker: str = "w1", slots: int = 1, **jobs: str) -> None:
        """A beat whose slots hold `jobs`."""
        free = [None] * (slots - len(jobs))
        held = tuple(Slot(id=f"s{n}", job=job) for n, job in enumerate([*jobs.values(), *free]))
        beat = WorkerBeat(worker=worker, instance="i", sequence=1, slots=held)
        time = format_time(self.world.clock.now())
        documents = await self.orion.supervisor._workers.documents([beat], time)
        await self.world.store.bulk("workers", [BulkItem(action="put", id=id, body=body) for id, body in documents])
        self.scheduler.notice([seen(beat, time)])

    async def hear(self, *messages: Any) -> None:
        heard: list[Any] = [SimpleNamespace(body=encode(m, source="orion", organisation="acme").body) for m in messages]
        await self.scheduler.handle(heard)

    async def phase(self, id: str) -> Phase:
        return (await self.world.job(id)).phase  # type: ignore[no-any-return]


@pytest.fixture
async def stand(world: Any) -> Stand:
    await world.listen("worker.w1.v1", "worker.*.w1")
    await world.listen("worker.w2.v1", "worker.*.w2")
    one = Stand(world, "one")
    assert await one.scheduler.tick() == 0
    return one


async def test_a_job_whose_message_is_lost_is_found_within_two_ticks(world: Any, stand: Stand) -> None:
    reads = stand.scheduler._reader.reads
    await stand.beat()
    world.clock.pass_(5)
    job = await stand.request()
    assert await stand.phase(job) is Phase.queued
    world.clock.pass_(5)
    assert await stand.scheduler.tick() == 1
    assert await stand.phase(job) is Phase.assigned
    assert stand.scheduler._reader.reads == reads, "by what changed, not by reading everything"


async def test_the_end_of_a_job_whose_message_is_lost_frees_its_slot(world: Any, stand: Stand) -> None:
    await stand.beat()
    first, second = await stand.request(), await stand.request()
    await stand.scheduler.tick()
    job = await world.job(first)
    await stand.beat(job=first)
    await stand.shell.apply([(first, Beat(worker="w1", fence=job.fence, phase="running"))])
    result = ResultReceived(worker="w1", organisation="acme", fence=job.fence, outcome="succeeded")
    await stand.shell.apply([(first, result)])
    for _ in range(3):
        world.clock.pass_(5)
        await stand.beat()
        await stand.scheduler.tick()
    assert await stand.phase(second) is Phase.assigned


async def test_messages_bring_jobs_and_free_slots_at_once(world: Any, stand: Stand) -> None:
    await stand.beat()
    first, second = await stand.request(), await stand.request()
    queued = JobQueued(job=first, kind="train", time="", attempt=0)
    await stand.hear(queued, queued.model_copy(update={"job": second}), SchedulerCall(orion="two"))
    assert [await stand.phase(first), await stand.phase(second)] == [Phase.assigned, Phase.queued]
    job = await world.job(first)
    result = ResultReceived(worker="w1", organisation="acme", fence=job.fence, outcome="succeeded")
    await stand.shell.apply([(first, result)])
    ended = JobCompleted(
        job=first, kind="train", time="", state="completed", attempt=1, fence=1, created_at="", ended_at=""
    )  # fmt: skip
    await stand.hear(ended)
    assert await stand.phase(second) is Phase.assigned


async def test_a_job_that_was_cancelled_unheard_leaves_its_slot_to_the_next(world: Any, stand: Stand) -> None:
    first, second = await stand.request(), await stand.request(priority=-1)
    await stand.scheduler.tick()
    await stand.shell.apply([(first, CancelRequested(job=first, organisation="acme", requested_by="ana"))])
    await stand.beat()
    assert await stand.scheduler.tick() == 1
    assert [await stand.phase(first), await stand.phase(second)] == [Phase.cleaning, Phase.assigned]


async def test_a_priority_changes_while_queued(world: Any, stand: Stand) -> None:
    first, second = await stand.request(), await stand.request()
    await stand.scheduler.tick()
    change = PriorityChanged(organisation="acme", priority=5, requested_by="ana")
    await stand.shell.apply([(second, change)])
    await stand.beat()
    await stand.hear(JobQueued(job=second, kind="train", time="", attempt=0))
    assert [await stand.phase(first), await stand.phase(second)] == [Phase.queued, Phase.assigned]


async def test_all_is_read_anew_now_and_then_and_after_an_error(world: Any, stand: Stand, monkeypatch: Any) -> None:
    reads = stand.scheduler._reader.reads
    late = await stand.request()
    world.clock.pass_(55)
    await stand.scheduler.tick()
    assert stand.scheduler._reader.reads == reads
    job = await world.job(late)
    assert late in stand.scheduler._view.queue or format_time(world.clock.now() - timedelta(10)) > job.updated_at
    world.clock.pass_(10)
    await stand.scheduler.tick()
    assert stand.scheduler._reader.reads == reads + 1
    assert late in stand.scheduler._view.queue
    await stand.beat()

    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(stand.shell, "apply", away)
        with pytest.raises(Unavailable):
            await stand.scheduler.tick()
    assert await stand.scheduler.tick() == 1
    assert stand.scheduler._reader.reads == reads + 2


async def test_a_full_read_forgets_what_is_no_longer_there(world: Any, stand: Stand) -> None:
    jobs = [await stand.request() for _ in range(5)]
    await stand.scheduler.tick()
    await stand.shell.apply(
        [(id, CancelRequested(job=id, organisation="acme", requested_by="ana")) for id in jobs[:3]]
    )  # fmt: skip
    await stand.scheduler._reader.whole()
    assert sorted(stand.scheduler._view.queue) == sorted(jobs[3:])


async def test_hundreds_of_waiting_jobs_are_read_in_pages(world: Any, stand: Stand) -> None:
    template = await world.job(await stand.request())
    items = [
        BulkItem(action="create", id=job.id, body=job_document(job))
        for job in (replace(template, id=new_id()) for _ in range(300))
    ]
    await world.store.bulk(JOBS.name, items)
    await stand.beat(slots=250)
    await stand.scheduler._reader.whole()
    assert len(stand.scheduler._view.queue) == 301
    assert await stand.scheduler.tick() == 250, "in slices of 100"
    found = await world.store.search(JOBS.name, Where(equals={"phase": "assigned"}), fresh=True, limit=300)
    assert len(found.items) == 250


async def test_why_a_job_waits_is_told_by_the_snapshot(world: Any, stand: Stand) -> None:
    await stand.beat()
    jobs = [await stand.request() for _ in range(3)]
    world.clock.pass_(5)
    await stand.scheduler.tick()
    taken = (await world.store.get(SCHEDULER.name, SNAPSHOT)).body["snapshot"]
    told = [why_waiting(await world.job(id), taken) for id in jobs]
    assert told[0] == ""
    assert sorted(told[1:]) == [
        "needs 1 slot; 1 job ahead; the only fitting slot is taken",
        "needs 1 slot; next; the only fitting slot is taken",
    ]
    big = await stand.request(spec=Spec(kind="train", requirements=Requirements(gpus=1, gpu_memory_gib=24)))
    world.clock.pass_(5)
    await stand.scheduler.tick()
    taken = (await world.store.get(SCHEDULER.name, SNAPSHOT)).body["snapshot"]
    assert why_waiting(await world.job(big), taken) == "needs 1×24 GB GPU; no worker has a slot like that"


async def test_another_leads_twenty_seconds_after_a_freeze(world: Any, stand: Stand) -> None:
    other = Stand(world, "two")
    job = await stand.request()
    frozen_at = world.clock.now()
    leads = False
    while not leads:
        world.clock.pass_(world.settings.tick_s)
        await other.beat("w2")
        leads = await other.scheduler.tick() == 1
    assert (world.clock.now() - frozen_at).total_seconds() <= 4 * world.settings.tick_s
    assert await other.phase(job) is Phase.assigned
    epoch = (await world.store.get(SCHEDULER.name, "epoch")).body
    assert (epoch["epoch"], epoch["snapshot"]["owner"]) == (2, "two")
    stand.scheduler._view.take([(await world.job(job))], world.clock.now())
    assert await stand.scheduler.tick() == 0, "the one that wakes up sees that it no longer leads"


async def test_a_frozen_leader_that_wakes_up_assigns_nothing_twice(world: Any, stand: Stand) -> None:
    """It goes on with what it knew: the job's own version judges."""
    other = Stand(world, "two")
    job = await stand.request()
    await stand.scheduler.tick()
    world.clock.pass_(11 * world.settings.tick_s)
    await other.beat("w2")
    assert await other.scheduler.tick() == 1
    await stand.beat("w1")
    assert job in stand.scheduler._view.queue
    assert await stand.scheduler._pass() == 0
    found = await world.job(job)
    assert (found.fence, found.attempts[-1].worker) == (1, "w2")


async def test_one_that_was_killed_is_replaced_by_whoever_hears_the_call(world: Any, stand: Stand) -> None:
    other, calls = Stand(world, "two"), await world.listen("calls", "scheduler.call")
    assert await other.scheduler.tick() == 0
    await other.scheduler.call_upon()
    await stand.scheduler.call_upon()
    assert await world.take(calls) == [SchedulerCall(orion="two")], "who leads calls nobody"
    job = await stand.request()
    await other.beat("w2")
    await other.hear(SchedulerCall(orion="two"))
    assert await other.phase(job) is Phase.assigned, "at once: the broker has given it the queue"


@pytest.mark.parametrize("told", [True, False])
async def test_a_removed_machine_is_offered_no_more(world: Any, stand: Stand, told: bool) -> None:
    """Not even by a beat that was still on its way; with the call at once, without it from the next tick on."""
    await stand.beat("w1")
    await member(world, "w1", "removed")
    if told:
        await stand.hear(SchedulerCall(orion="two", removed="w1"))
    else:
        await stand.scheduler.tick()
    await stand.beat("w1")
    job = await stand.request()
    await stand.hear(JobQueued(job=job, kind="train", time="", attempt=0))
    assert await stand.scheduler.tick() == 0
    other = Stand(world, "two")
    await other.hear(SchedulerCall(orion="two"))
    assert await other.phase(job) is Phase.queued, "nor by whoever leads next"
    await member(world, "w1", "joined")
    assert await other.scheduler.tick() == 1


async def test_a_look_that_began_before_a_removal_does_not_take_it_back(world: Any, stand: Stand) -> None:
    reader, store = stand.scheduler._reader, stand.shell.jobs.store
    await member(world, "w1", "joined")
    known, has_read, go_on = store.get_many, asyncio.Event(), asyncio.Event()

    async def slowly(collection: str, ids: Any, **options: Any) -> Any:
        found = await known(collection, ids, **options)
        if collection == MEMBERS.name and not has_read.is_set():
            has_read.set()
            await go_on.wait()
        return found

    store.get_many = slowly  # type: ignore[method-assign]
    look = asyncio.create_task(reader.expel(["w1"]))
    await has_read.wait()
    await member(world, "w1", "removed")
    call = asyncio.create_task(reader.expel(["w1"]))
    await asyncio.wait([call], timeout=0.2)
    go_on.set()
    await asyncio.gather(look, call)
    assert stand.scheduler._view.removed == {"w1"}


async def member(world: Any, worker: str, state: str) -> None:
    """A machine that joined, or was removed since."""
    body = {"organisation": "system", "state": state, "updated_at": format_time(world.clock.now()), "member": {}}
    known = await get(world.store, MEMBERS.name, worker)
    assert await swap(world.store, MEMBERS.name, worker, body, known.etag if known else None)


async def test_a_long_queue_is_taken_over_at_once(world: Any, stand: Stand) -> None:
    """The leader dies with 1,000 jobs waiting: whoever hears the call reads them all before it gives the first its
    slot. How long that takes with 10,000 is a figure of `studio9 bench schedule`."""
    now, policy, count = world.clock.now(), Policy(), 1_000
    told = [requested(priority=9 if number == count - 100 else 0) for number in range(count)]
    queued = [decide(decide(None, one, now, policy).job, Tick(), now, policy).job for one in told]
    items = [BulkItem(action="create", id=job.id, body=job_document(job)) for job in queued if job is not None]
    for start in range(0, count, 500):
        outcomes = await world.store.bulk(JOBS.name, items[start : start + 500])
        assert {one.status for one in outcomes} == {201}
    other = Stand(world, "two")
    await other.beat("w1")
    await other.hear(SchedulerCall(orion="two"))
    assert await other.phase(told[-100].job) is Phase.assigned
    assert len(other.scheduler._view.queue) == count - 1


async def test_use_outlives_the_orion_that_counted_it(world: Any, stand: Stand) -> None:
    for name in ("acme", "globex"):
        for _ in range(4):
            await stand.request(organisation=name)
    await stand.beat(slots=2)
    await stand.scheduler.tick()
    for _ in range(12):
        world.clock.pass_(5)
        await stand.beat(slots=2)
        await stand.scheduler.tick()
    found = {item.id: item.body for item in (await world.store.search(USAGE.name, fresh=True)).items}
    assert set(found) == {"acme", "globex"}
    assert 50 < found["acme"]["value"] <= 60
    other = Stand(world, "two")
    await other.hear(SchedulerCall(orion="two"))
    assert other.scheduler._ledger._usage.values["cpu", "acme"] == pytest.approx(found["acme"]["value"], rel=0.05)


async def test_who_leads_again_shows_anew_what_waits(world: Any, stand: Stand) -> None:
    async def shown() -> list[str]:
        world.clock.pass_(5)
        return [one[0] for one in (await world.store.get(SCHEDULER.name, SNAPSHOT)).body["snapshot"]["order"]]

    assert await shown() == []
    other = Stand(world, "two")
    await other.hear(SchedulerCall(orion="one"))
    id = await other.request()
    world.clock.pass_(5)
    await other.scheduler.tick()
    assert not await stand.scheduler._leader.lead(), "the other leads"
    assert await shown() == [id]
    await other.shell.apply([(id, CancelRequested(job=id, organisation="acme", requested_by="ana"))])
    await stand.hear(SchedulerCall(orion="two"))
    assert await shown() == []


async def test_who_does_not_lead_tells_of_the_jobs_that_it_writes(world: Any, stand: Stand) -> None:
    other, calls = Stand(world, "two"), await world.listen("calls", "scheduler.call")
    assert await other.scheduler.tick() == 0
    other.scheduler.start()
    await stand.beat()
    job, waits = await other.request(), await other.request()
    heard = await told(world, calls, 2)
    assert {id for one in heard for id in one.queued} == {job, waits}
    await stand.hear(*heard)
    assert [await stand.phase(job), await stand.phase(waits)] == [Phase.assigned, Phase.queued]
    fence = (await world.job(job)).fence
    result = ResultReceived(worker="w1", organisation="acme", fence=fence, outcome="succeeded")
    await other.shell.apply([(job, result)])
    heard = await told(world, calls, 1)
    assert [one.ended for one in heard] == [(job,)]
    await stand.hear(*heard)
    assert await stand.phase(waits) is Phase.assigned
    await other.scheduler.stop()


async def test_a_job_that_another_orion_puts_back_is_assigned_again_at_once(world: Any, stand: Stand) -> None:
    """Although this Orion has written it before: it is another's word that it waits again."""
    other = Stand(world, "two")
    await stand.beat()
    job = await stand.request()
    assert await stand.scheduler.tick() == 1
    gone = ResultReceived(worker="w1", organisation="acme", fence=1, outcome="refused")
    await other.shell.apply([(job, gone)])
    world.clock.pass_(Policy().refused_s)
    await stand.beat()
    assert (await stand.phase(job), len(stand.scheduler._view.queue)) == (Phase.queued, 0)
    await stand.hear(SchedulerCall(orion="two", queued=(job,)))
    assert ((await world.job(job)).fence, await stand.phase(job)) == (2, Phase.assigned)


async def test_what_an_orion_has_written_itself_is_not_read_again(world: Any, stand: Stand) -> None:
    job = await stand.request()
    read: list[str] = []
    known = stand.shell.jobs.load_many

    async def load_many(ids: Any) -> Any:
        read.extend(wanted := list(ids))
        return await known(wanted)

    stand.shell.jobs.load_many = load_many  # type: ignore[method-assign]
    time = (await world.job(job)).updated_at
    await stand.hear(JobQueued(job=job, kind="train", time=time, attempt=0))
    assert read == []
    later = format_time(world.clock.now() + timedelta(seconds=1))
    await stand.hear(JobQueued(job=job, kind="train", time=later, attempt=0))
    assert read == [job], "an Orion of an earlier version has written it since"


async def told(world: Any, calls: Any, jobs: int) -> list[Any]:
    """Calls that tell of so many jobs."""
    heard: list[Any] = []
    async with asyncio.timeout(20):
        while sum(len(one.queued) + len(one.ended) for one in heard) < jobs:
            await asyncio.sleep(0.02)
            heard += await world.take(calls)
    return heard
