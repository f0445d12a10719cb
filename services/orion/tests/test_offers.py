"""A new job gets a free slot with its first write; whatever becomes of it, slots are neither lost nor doubled."""

from typing import Any

import pytest

from studio9_common.contracts.envelope import Envelope
from studio9_common.contracts.job import Job, Phase, Spec
from studio9_common.contracts.messages import JobCancel, JobRequested, Message, Slot, WorkerBeat
from studio9_common.errors import Unavailable
from studio9_common.ids import new_id
from studio9_common.times import format_time
from studio9_orion.workers import seen


def letter(data: Message, organisation: str = "acme") -> Envelope:
    return Envelope(id=new_id(), type=data.type, source="test", organisation=organisation, time="", data=data)


def requested(**changes: Any) -> JobRequested:
    return JobRequested(**({"job": new_id(), "owner": "ana", "spec": Spec(kind="train")} | changes))


class Stand:
    """An Orion that leads, whose loops do not run, and a worker of some slots."""

    def __init__(self, world: Any) -> None:
        self.world, self.orion = world, world.orion()
        self.writes: list[list[str]] = []
        self.down = False
        store, known = world.store, world.store.bulk

        async def bulk(collection: str, items: Any, **options: Any) -> Any:
            if collection == "jobs":
                if self.down:
                    raise Unavailable("the store is away")
                self.writes.append([item.action for item in items])
            return await known(collection, items, **options)

        store.bulk = bulk

    async def start(self, slots: int) -> None:
        await self.world.listen("worker.w1.v1", "worker.*.w1")
        await self.orion.scheduler.tick()
        beat = WorkerBeat(
            worker="w1", instance="i", sequence=1, slots=tuple(Slot(id=f"s{number}") for number in range(slots))
        )
        self.orion.scheduler.notice([seen(beat, format_time(self.world.clock.now()))])
        self.writes.clear()

    async def take(self, *messages: Message) -> list[Job]:
        """The jobs as they are stored afterwards."""
        await self.orion.dispatcher.take([letter(message) for message in messages])
        return [await self.world.job(message.job) for message in messages]  # type: ignore[attr-defined]


@pytest.fixture
async def stand(world: Any) -> Stand:
    one = Stand(world)
    await one.start(slots=2)
    return one


async def test_a_new_job_is_written_as_assigned_at_once(stand: Stand) -> None:
    (job,) = await stand.take(requested())
    assert stand.writes == [["create"]]
    assert [event.type for event in job.events] == ["requested", "queued", "assigned"]
    assert (job.phase, job.attempts[-1].worker, job.attempts[-1].fence) == (Phase.assigned, "w1", 1)


async def test_no_more_jobs_are_assigned_than_there_are_slots(stand: Stand) -> None:
    jobs = await stand.take(requested(), requested(), requested())
    assert sorted(job.phase for job in jobs) == [Phase.assigned, Phase.assigned, Phase.queued]
    assert [job.phase for job in await stand.take(requested())] == [Phase.queued], "it does not pass by who waits"


async def test_what_cannot_be_queued_takes_no_slot(stand: Stand) -> None:
    waiting = requested(depends_on=(new_id(),))
    bad = requested(context={"large": "x" * 60_000})
    cancelled = requested()
    message = JobCancel(job=cancelled.job, requested_by="ana")
    phases = [job.phase for job in await stand.take(waiting, bad, cancelled, message)]
    assert phases == [Phase.submitted, Phase.cleaning, Phase.cleaning, Phase.cleaning]
    assert [job.phase for job in await stand.take(requested(), requested())] == [Phase.assigned] * 2


async def test_a_write_that_failed_gives_the_slot_back(stand: Stand) -> None:
    stand.down = True
    first, second = requested(), requested()
    with pytest.raises(Unavailable):
        await stand.take(first, second)
    stand.down = False
    assert [job.phase for job in await stand.take(first, second)] == [Phase.assigned] * 2


async def test_a_request_that_comes_again_takes_no_second_slot(stand: Stand) -> None:
    first = requested()
    await stand.take(first)
    (again,) = await stand.take(first)
    assert (again.phase, again.fence) == (Phase.assigned, 1)
    phases = sorted(job.phase for job in await stand.take(requested(), requested()))
    assert phases == [Phase.assigned, Phase.queued]


async def test_a_request_that_another_orion_took_is_assigned_once(stand: Stand) -> None:
    other, first = stand.world.orion(), requested()
    await other.dispatcher.take([letter(first)])
    (job,) = await stand.take(first)
    assert (job.phase, job.fence) == (Phase.assigned, 1)
    (same,) = await stand.take(first)
    assert same.fence == 1
