"""What the shell need not read before it decides, and that a wrong guess is found out by its write."""

from typing import Any

from studio9_common.contracts.job import Job, Phase, Spec
from studio9_common.ids import new_id
from studio9_orion.core import Answer
from studio9_orion.core.events import Assigned, CancelRequested, DeadLettered, Requested


def requested(id: str, organisation: str = "acme") -> Requested:
    return Requested(job=id, organisation=organisation, owner="ana", spec=Spec(kind="train"), request_hash="h")


def count_reads(orion: Any) -> list[str]:
    """Ids of jobs as they are read from now on."""
    read: list[str] = []
    store = orion.shell.jobs.store
    known = store.get_many

    async def get_many(collection: str, ids: Any, **options: Any) -> Any:
        if collection == "jobs":
            read.extend(ids)
        return await known(collection, ids, **options)

    store.get_many = get_many
    return read


async def test_a_new_job_and_its_next_step_are_decided_without_reading(world: Any) -> None:
    orion, id = world.orion(), new_id()
    read = count_reads(orion)
    await orion.shell.apply([(id, requested(id))])
    await orion.shell.apply([(id, DeadLettered(type="t", why="w"))])
    assert read == []
    assert (await world.job(id)).events[-1].type == "dead_letter"


async def test_a_request_that_comes_again_finds_its_job(world: Any) -> None:
    one, other, id = world.orion(), world.orion(), new_id()
    await one.shell.apply([(id, requested(id))])
    applied = await other.shell.apply([(id, requested(id))])
    assert applied.decisions[0].answer is Answer.unchanged
    assert applied.decisions[0].effects, "it is answered once more"
    foreign = await other.shell.apply([(id, requested(id, "other"))])
    assert foreign.decisions[0].answer is Answer.foreign


async def test_what_another_orion_wrote_is_read_before_nothing_is_done(world: Any) -> None:
    one, other, id = world.orion(), world.orion(), new_id()
    await one.shell.apply([(id, requested(id))])
    await other.shell.apply([(id, CancelRequested(job=id, organisation="acme", requested_by="ana"))])
    applied = await one.shell.apply([(id, Assigned(worker="w1"))])
    assert applied.decisions[0].answer is Answer.unchanged
    assert applied.jobs[id].cancel_requested_at is not None, "the job is the one that the other wrote"


async def test_whoever_watches_sees_each_step_once_it_is_durable(world: Any) -> None:
    orion, id = world.orion(), new_id()
    seen: list[Phase] = []

    def watch(job: Job) -> None:
        written = orion.shell.jobs.written(job.id)
        assert written is not None and written.job == job
        seen.append(job.phase)

    orion.shell.watch(watch)
    await orion.shell.apply([(id, requested(id))])
    await orion.shell.apply([(id, requested(id))])
    assert seen == [Phase.queued]
