"""The shell on the real embedded store and bus: conflicts, the outbox, and deaths between any two steps."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.bus.port import Queue
from studio9_common.contracts.job import Phase, Spec, State
from studio9_common.contracts.messages import JobAccepted, WorkerRun
from studio9_common.ids import new_id
from studio9_orion import shell
from studio9_orion.core import Answer
from studio9_orion.core.events import Assigned, CancelRequested, Cleaned, DeadLettered, Requested


def requested(id: str, **changes: Any) -> Requested:
    given: dict[str, Any] = {
        "job": id,
        "organisation": "acme",
        "owner": "ana",
        "spec": Spec(kind="train"),
        "request_hash": "h",
    }
    return Requested(**(given | changes))


async def test_a_decision_is_written_with_its_outbox_and_published(world: Any) -> None:
    orion, id = world.orion(), new_id()
    events = await world.listen("events", "job.#")
    applied = await orion.shell.apply([(id, requested(id))])
    assert applied.decisions[0].answer is Answer.applied
    stored = await world.job(id)
    assert (stored.phase, stored.outbox) == (Phase.queued, ()), "until it is answered, the request comes again"
    told = await world.take(events)
    assert [message.type for message in told] == ["studio9.job.accepted.v1", "studio9.job.queued.v1"]
    assert isinstance(told[0], JobAccepted)
    assert told[0].state is State.queued


async def test_a_batch_of_events_about_one_job_is_one_write(world: Any) -> None:
    orion, id = world.orion(), new_id()
    applied = await orion.shell.apply([(id, requested(id)), (id, requested(id)), (id, Assigned(worker="w1"))])
    assert [decision.answer for decision in applied.decisions] == [Answer.applied, Answer.unchanged, Answer.applied]
    assert (await world.job(id)).phase is Phase.queued, "nobody listens for w1, so the run came back"
    assert "unroutable" in [event.type for event in (await world.job(id)).events]


async def test_what_is_not_known_is_not_made_up(world: Any) -> None:
    applied = await world.orion().shell.apply([(new_id(), Cleaned()), ("no-id", Cleaned())])
    assert [decision.answer for decision in applied.decisions] == [Answer.unknown, Answer.unknown]


async def test_many_writers_of_one_job_all_count(world: Any) -> None:
    id = new_id()
    orions = [world.orion() for _ in range(4)]
    await orions[0].shell.apply([(id, requested(id))])
    letters = [DeadLettered(type=f"t{n}", why="w") for n in range(20)]
    await asyncio.gather(*(orions[n % 4].shell.apply([(id, letter)]) for n, letter in enumerate(letters)))
    assert (await world.job(id)).events[-1].count == 20


async def test_many_creators_of_one_job_make_one(world: Any) -> None:
    id = new_id()
    orions = [world.orion() for _ in range(4)]
    applied = await asyncio.gather(*(orion.shell.apply([(id, requested(id))]) for orion in orions))
    answers = sorted(one.decisions[0].answer for one in applied)
    assert answers == [Answer.applied, *[Answer.unchanged] * 3]


async def test_a_death_between_write_and_publish_loses_no_command(world: Any, tmp_path: Path) -> None:
    id = new_id()
    dead_bus = await EmbeddedBus.open(tmp_path / "dead.sqlite")
    await dead_bus.close()
    cancel = CancelRequested(job=id, organisation="acme", requested_by="ana")
    await world.orion(bus=dead_bus).shell.apply([(id, requested(id)), (id, cancel)])
    events = await world.listen("events", "job.#")
    other = world.orion()
    await other.sweeper.sweep()
    assert await world.take(events) == [], "too young: its writer may still be at it"
    world.clock.pass_(6)
    assert (await other.sweeper.sweep()).republished == 2
    assert sorted(m.type for m in await world.take(events)) == ["studio9.job.cancelled.v1", "studio9.job.clean.v1"]


async def test_a_death_before_the_answer_is_made_good_when_the_request_comes_again(world: Any, tmp_path: Path) -> None:
    id = new_id()
    dead_bus = await EmbeddedBus.open(tmp_path / "dead.sqlite")
    await dead_bus.close()
    await world.orion(bus=dead_bus).shell.apply([(id, requested(id))])
    events = await world.listen("events", "job.#")
    await world.orion().shell.apply([(id, requested(id))])
    (told,) = await world.take(events)
    assert (told.type, told.state) == (JobAccepted.type, State.queued)


async def test_published_commands_leave_the_outbox_with_the_next_change(world: Any) -> None:
    orion, id = world.orion(), new_id()
    await world.bus.declare(Queue("worker.w1.v1", ("worker.*.w1",)))
    await orion.shell.apply([(id, requested(id))])
    await orion.shell.apply([(id, Assigned(worker="w1"))])
    assert [command.type for command in (await world.job(id)).outbox] == [WorkerRun.type]


async def test_published_commands_leave_the_outbox_also_without_one(world: Any) -> None:
    orion, id = world.orion(), new_id()
    orion.shell.start()
    await orion.shell.apply([(id, requested(id))])
    await orion.shell.stop()
    stored = await world.job(id)
    assert (stored.outbox, stored.phase) == ((), Phase.queued)
    world.clock.pass_(60)
    assert (await orion.sweeper.sweep()).republished == 0


async def test_another_writer_carries_over_what_is_not_published(world: Any, tmp_path: Path) -> None:
    id = new_id()
    dead_bus = await EmbeddedBus.open(tmp_path / "dead.sqlite")
    await dead_bus.close()
    cancel = CancelRequested(job=id, organisation="acme", requested_by="ana")
    await world.orion(bus=dead_bus).shell.apply([(id, requested(id)), (id, cancel)])
    await world.orion().shell.apply([(id, DeadLettered(type="t", why="w"))])
    types = [command.type.split(".")[2] for command in (await world.job(id)).outbox]
    assert types == ["cancelled", "clean"]


async def test_a_dependent_starts_when_what_it_depends_on_has_completed(world: Any) -> None:
    orion = world.orion()
    orion.shell.start()
    first, second, foreign = new_id(), new_id(), new_id()
    await orion.shell.apply([(second, requested(second, depends_on=(first,)))])
    await orion.shell.apply([(foreign, requested(foreign, organisation="other", depends_on=(first,)))])
    await orion.shell.apply([(first, requested(first))])
    assert (await world.job(second)).phase is Phase.submitted
    cancel = CancelRequested(job=first, organisation="acme", requested_by="ana")
    await orion.shell.apply([(first, cancel)])
    await orion.cleaner.clean([first])
    assert (await world.job(second)).reason.code == "dependency_failed"
    assert (await world.job(foreign)).phase is Phase.submitted, "another organisation's job is not there for it"
    await orion.shell.stop()


async def test_a_dependent_that_no_search_showed_yet_is_found_a_little_later(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written just before the end, it is seen by no search of that moment: it waited for its own deadline, half a
    minute. Found by a test on Elasticsearch."""
    monkeypatch.setattr(shell, "LOOK_AGAIN_S", 0.2)
    orion = world.orion()
    known, seen = orion.shell.jobs.related_to, list[set[str]]()

    async def behind(ended: Any) -> Any:
        found = await known(ended)
        seen.append({job.id for job in found})
        return found if len(seen) > 1 else []

    monkeypatch.setattr(orion.shell.jobs, "related_to", behind)
    orion.shell.start()
    first, second = new_id(), new_id()
    await orion.shell.apply([(first, requested(first)), (second, requested(second, depends_on=(first,)))])
    await orion.shell.apply([(first, CancelRequested(job=first, organisation="acme", requested_by="ana"))])
    async with asyncio.timeout(10):
        while (await world.job(second)).phase is Phase.submitted:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)
    await orion.shell.stop()
    assert seen[:2] == [{second}, {second}]
