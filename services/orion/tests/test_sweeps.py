"""Deadline sweeps and orphan sweeps with a clock that only the test moves: deafness, restarts, frozen Orions."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from studio9_common.bus.port import BusUnavailable, Outgoing, Queue
from studio9_common.contracts.collections import SWEEPS
from studio9_common.contracts.job import ObjectRef, Phase, Spec, State
from studio9_common.contracts.messages import AttemptBeat, JobClean, Slot, WorkerBeat, WorkerLease
from studio9_common.contracts.reasons import reason
from studio9_common.ids import new_id
from studio9_common.times import parse_time
from studio9_orion.app import OrionService
from studio9_orion.core.events import Assigned, Beat, CancelRequested, Requested, ResultReceived
from studio9_orion.core.policy import Policy
from studio9_orion.gatherer import Gatherer
from studio9_orion.queues import CLEAN


@pytest.fixture
async def orion(world: Any) -> OrionService:
    """Not started: the test calls its parts. It can hear."""
    await world.bus.declare(Queue("worker.w1.v1", ("worker.*.w1",)))
    return deaf(world.orion(), hears=True)


def deaf(orion: OrionService, *, hears: bool = False) -> OrionService:
    """The same Orion, cut off from the bus or not."""

    async def can_hear() -> bool:
        return hears

    orion.sweeper._hearing._can_hear = can_hear
    return orion


async def running(orion: OrionService, *, beat: bool = True) -> str:
    """A job that runs on w1."""
    id = new_id()
    event = Requested(job=id, organisation="acme", owner="ana", spec=Spec(kind="train"), request_hash="h")
    await orion.shell.apply([(id, event)])
    await orion.shell.apply([(id, Assigned(worker="w1"))])
    if beat:
        await heard(orion, id)
    else:
        await orion.shell.apply([(id, Beat(worker="w1", fence=1, phase="running"))])
    return id


async def heard(orion: OrionService, *ids: str, fence: int = 1, sequence: int = 1) -> None:
    attempts = tuple(
        AttemptBeat(job=id, organisation="acme", fence=fence, sequence=sequence, phase="running") for id in ids
    )
    slots = (Slot(id="s1"),)
    beat = WorkerBeat(worker="w1", instance="i", sequence=sequence, slots=slots, attempts=attempts)
    await orion.supervisor.take_beats([beat])


async def sweep_every_5s(world: Any, orion: OrionService, seconds: float, *beating: str) -> None:
    for step in range(round(seconds / 5)):
        world.clock.pass_(5)
        if beating:
            await heard(orion, *beating, sequence=step + 2)
        await orion.sweeper.sweep()


class FullDisk:
    """A bus whose broker delivers, but confirms nothing: its disk is full."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def publish(self, message: Outgoing) -> None:
        raise BusUnavailable


async def test_an_orion_whose_broker_takes_no_messages_cannot_hear(world: Any) -> None:
    heard = []
    for bus in (world.bus, FullDisk(world.bus)):
        orion = world.orion(bus=bus)
        await orion._beats.start()
        async with asyncio.timeout(20):
            while not orion._beats.healthy:  # noqa: ASYNC110 - it has no event for that
                await asyncio.sleep(0.005)
        heard.append(await orion.can_hear())
        await orion._beats.stop()
    assert heard == [True, False]


async def test_a_silent_worker_is_lost_within_lease_and_tick(world: Any, orion: OrionService) -> None:
    silent, fine = await running(orion), await running(orion)
    began, lease_s = world.clock.now(), world.settings.lease_s
    await sweep_every_5s(world, orion, 30, fine)
    assert [(await world.job(id)).phase for id in (silent, fine)] == [Phase.queued, Phase.running]
    lost = next(event for event in (await world.job(silent)).events if event.type == "lost")
    waited_s = (parse_time(lost.time) - began).total_seconds()
    assert lease_s <= waited_s <= lease_s + 5, "the lease, and the time between two sweeps"


async def test_a_running_job_whose_beat_was_never_stored_is_found_by_its_own_deadline(
    world: Any, orion: OrionService
) -> None:
    id = await running(orion, beat=False)
    await sweep_every_5s(world, orion, 30)
    assert (await world.job(id)).attempts[0].outcome == "lost"


async def test_after_an_outage_everybody_first_gets_a_full_lease(world: Any, orion: OrionService) -> None:
    ids = [await running(orion) for _ in range(3)]
    await sweep_every_5s(world, orion, 10, *ids)
    world.clock.pass_(3_600)
    swept = await orion.sweeper.sweep()
    assert (swept.deaf, swept.changed) == (True, 0)
    await sweep_every_5s(world, orion, 15)
    assert {(await world.job(id)).phase for id in ids} == {Phase.running}
    await heard(orion, ids[0])
    await sweep_every_5s(world, orion, 10)
    outcomes = [(await world.job(id)).attempts[0].outcome for id in ids]
    assert outcomes == [None, "lost", "lost"]


async def test_a_restarted_orion_knows_of_the_gap_and_forgets_no_deadline(world: Any, orion: OrionService) -> None:
    id = await running(orion)
    await sweep_every_5s(world, orion, 10, id)
    world.clock.pass_(60)
    other = deaf(world.orion(), hears=True)
    assert (await other.sweeper.sweep()).deaf
    await sweep_every_5s(world, other, 25)
    assert (await world.job(id)).attempts[0].outcome == "lost"


async def test_an_orion_without_a_bus_judges_nothing_and_leaves_no_mark(world: Any, orion: OrionService) -> None:
    id = await running(orion)
    await orion.sweeper.sweep()
    marked = await world.store.get(SWEEPS.name, "deadlines")
    deaf(orion)
    await sweep_every_5s(world, orion, 60)
    assert (await world.job(id)).phase is Phase.running
    assert (await world.store.get(SWEEPS.name, "deadlines")).etag == marked.etag
    deaf(orion, hears=True)
    assert (await orion.sweeper.sweep()).deaf, "what it could not hear is not silence afterwards either"


async def test_another_orion_that_hears_is_enough(world: Any, orion: OrionService) -> None:
    id = await running(orion)
    cut_off = deaf(world.orion())
    for _ in range(6):
        world.clock.pass_(5)
        await cut_off.sweeper.sweep()
        await orion.sweeper.sweep()
    assert (await world.job(id)).attempts[0].outcome == "lost"


async def test_an_orion_that_froze_in_the_middle_of_a_sweep_declares_nobody_lost(
    world: Any, orion: OrionService
) -> None:
    id = await running(orion)
    await sweep_every_5s(world, orion, 10, id)
    ears = await orion.sweeper._hearing.begin()
    world.clock.pass_(120)
    await orion.sweeper._hearing.finish(ears)
    assert (await orion.sweeper.sweep()).deaf
    assert (await world.job(id)).phase is Phase.running


async def test_deafness_found_by_one_orion_holds_for_all(world: Any, orion: OrionService) -> None:
    id = await running(orion)
    world.clock.pass_(100)
    other = deaf(world.orion(), hears=True)
    early = await orion.sweeper._hearing.begin()
    assert (await other.sweeper.sweep()).deaf
    await orion.sweeper._hearing.finish(early)
    world.clock.pass_(4)
    assert (await other.sweeper.sweep()).deaf
    assert (await world.job(id)).phase is Phase.running


async def test_an_orion_that_was_frozen_does_not_doubt_the_clocks(
    world: Any, orion: OrionService, capsys: pytest.CaptureFixture[str]
) -> None:
    id = await running(orion)
    other = deaf(world.orion(), hears=True)
    await sweep_every_5s(world, other, 4, id)

    async def freezes() -> bool:
        await sweep_every_5s(world, other, 10, id)
        return True

    orion.sweeper._hearing._can_hear = freezes
    await orion.sweeper.sweep()
    assert "clocks_disagree" not in capsys.readouterr().out
    assert (await world.job(id)).phase is Phase.running


@pytest.mark.parametrize("ahead_s", [5, 15, 300])
async def test_clocks_that_disagree_take_nobodys_job(world: Any, orion: OrionService, ahead_s: float) -> None:
    wrong = type(world.clock)()
    wrong.time = world.clock.time + timedelta(seconds=ahead_s)
    other = deaf(world.orion(clock=wrong), hears=True)
    id = await running(orion)
    for _ in range(4):
        for clock in (world.clock, wrong):
            clock.pass_(4)
        await heard(orion, id, sequence=int(world.clock.monotonic()))
        await orion.sweeper.sweep()
        await other.sweeper.sweep()
    for clock in (world.clock, wrong):
        clock.pass_(16)  # still within the lease for the clock that stamped it
    await orion.sweeper.sweep()
    await other.sweeper.sweep()
    assert (await world.job(id)).phase is Phase.running
    wrong.time = world.clock.time  # once the clock is right again, silence is judged within two leases
    for _ in range(11):
        for clock in (world.clock, wrong):
            clock.pass_(4)
        await orion.sweeper.sweep()
        await other.sweeper.sweep()
    assert (await world.job(id)).phase in {Phase.backing_off, Phase.queued}


async def test_a_lost_attempt_that_is_heard_again_goes_on_and_the_next_one_supersedes_it(
    world: Any, orion: OrionService
) -> None:
    id = await running(orion)
    await sweep_every_5s(world, orion, 25)
    await heard(orion, id, sequence=50)
    assert (await world.job(id)).phase is Phase.running
    leases = await world.listen("leases", "worker.lease.#")
    await sweep_every_5s(world, orion, 35)
    await orion.shell.apply([(id, Assigned(worker="w1"))])
    assert (await world.job(id)).fence == 2
    await heard(orion, id, fence=1, sequence=60)
    answers = [one for one in await world.take(leases) if isinstance(one, WorkerLease)]
    assert [lease.decision for lease in answers[-1].leases] == ["stop"]
    assert (await world.job(id)).events[-1].type == "superseded"


async def test_a_cancelled_job_ends_within_its_deadline_whatever_the_worker_does(
    world: Any, orion: OrionService
) -> None:
    id = await running(orion)
    await orion.sweeper.sweep()
    await orion.shell.apply([(id, CancelRequested(job=id, organisation="acme", requested_by="ana"))])
    await sweep_every_5s(world, orion, 30)
    assert (await world.job(id)).state is State.cancelled


async def test_an_hour_in_back_off_phases_is_not_forgotten_by_a_restart(world: Any, orion: OrionService) -> None:
    id = await running(orion)
    failed = ResultReceived(worker="w1", organisation="acme", fence=1, outcome="failed", reason=reason("staging_error"))
    await orion.shell.apply([(id, failed)])
    assert (await world.job(id)).phase is Phase.backing_off
    world.clock.pass_(3_600)
    await deaf(world.orion()).sweeper.sweep()
    assert (await world.job(id)).phase is Phase.queued


async def ended(world: Any, orion: OrionService, outcome: Any, *, clean: bool = True, **changes: Any) -> str:
    """A job that ended on w1 and, if asked for, was cleaned, after a first attempt that was lost."""
    id = await running(orion)
    await sweep_every_5s(world, orion, 35)
    await orion.shell.apply([(id, Assigned(worker="w1"))])
    result = ResultReceived(worker="w1", organisation="acme", fence=2, outcome=outcome, **changes)
    await orion.shell.apply([(id, result)])
    if clean:
        await orion.cleaner.clean([id])
    return id


async def keys_below(world: Any, prefix: str) -> list[str]:
    return [info.key async for info in world.objects.list(prefix)]


async def test_what_a_cut_off_attempt_uploads_after_the_end_is_swept_away(world: Any, orion: OrionService) -> None:
    manifest = ObjectRef(key="x", sha256="0" * 64, size=1)
    id = await ended(world, orion, "succeeded", manifest=manifest)
    for key in (f"acme/jobs/{id}/1/late.pt", f"acme/jobs/{id}/2/model.pt", f"acme/scratch/{id}/late"):
        await world.objects.put(key, b"x")
    world.clock.pass_(1)
    removed = await orion.orphans.sweep()
    assert removed.objects == {f"acme/jobs/{id}/1/": 1, f"acme/scratch/{id}/": 1}
    assert await keys_below(world, f"acme/jobs/{id}/") == [f"acme/jobs/{id}/2/model.pt"]
    mark = await world.store.get(SWEEPS.name, "orphans")
    assert {one["why"] for one in mark.body["detail"]["removed"]} == {"left behind by a job that has ended"}
    assert (await orion.orphans.sweep()).objects == {}


async def test_uploads_that_waited_for_the_end_of_an_outage_are_swept_away(world: Any, orion: OrionService) -> None:
    """Found by the simulation (seed 1266): the job ended half an hour before the objects were back and it was clean."""
    id = await ended(world, orion, "failed", clean=False, reason=reason("user_error"))
    world.clock.pass_(1_800)
    await orion.cleaner.clean([id])
    await world.objects.put(f"acme/jobs/{id}/1/late.pt", b"x")
    world.clock.pass_(1)
    assert (await orion.orphans.sweep()).objects == {f"acme/jobs/{id}/1/": 1}


async def test_a_running_jobs_objects_are_left_alone(world: Any, orion: OrionService) -> None:
    id = await running(orion)
    await world.objects.put(f"acme/scratch/{id}/x", b"x")
    await orion.cleaner.clean([id, new_id()])
    await orion.orphans.sweep()
    assert len(await keys_below(world, f"acme/scratch/{id}/")) == 1
    assert (await world.job(id)).phase is Phase.running


async def test_a_failed_jobs_checkpoint_is_kept_for_a_retry_and_then_let_go(world: Any, orion: OrionService) -> None:
    id = await running(orion)
    key = f"acme/jobs/{id}/1/last.pt"
    await world.objects.put(key, b"x")
    checkpoint = ObjectRef(key=key, sha256="0" * 64, size=1)
    failed = ResultReceived(
        worker="w1", organisation="acme", fence=1, outcome="failed", reason=reason("user_error"), checkpoint=checkpoint
    )
    await orion.shell.apply([(id, failed)])
    await orion.cleaner.clean([id])
    await orion.orphans.sweep()
    assert await keys_below(world, f"acme/jobs/{id}/") == [key]
    days = 0.0
    while await keys_below(world, f"acme/jobs/{id}/"):
        world.clock.pass_(6 * 3_600)
        days += 0.25
        await orion.orphans.sweep()
    assert Policy().keep_checkpoints_s / 86_400 <= days < 8


class OnceFull(FullDisk):
    """A bus that takes none of the first messages that are published together."""

    def __init__(self, bus: Any) -> None:
        super().__init__(bus)
        self.full = True

    async def publish_many(self, messages: Any) -> Any:
        if self.full:
            self.full = False
            return [BusUnavailable() for _ in messages]
        return await self._bus.publish_many(messages)


async def test_progress_that_the_broker_did_not_take_is_told_with_the_next_beat(world: Any) -> None:
    await world.bus.declare(Queue("worker.w1.v1", ("worker.*.w1",)))
    events, bus = await world.listen("progress", "job.progress"), OnceFull(world.bus)
    orion = world.orion(bus=bus)
    id = await running(orion, beat=False)
    bus.full = True
    told = []
    for sequence in range(1, 4):
        await heard(orion, id, sequence=sequence)
        told.append(len(await world.take(events)))
    assert told == [0, 1, 0], "as soon as the broker takes it, and no more while nothing changes"


async def test_who_ends_a_job_cleans_up_and_tells_nobody(world: Any, orion: OrionService) -> None:
    await world.bus.declare(CLEAN)
    orion.cleaner.start()
    cleaned = asyncio.Event()
    orion.shell.watch(lambda job: cleaned.set() if job.phase is Phase.clean else None)
    id = await running(orion)
    await world.objects.put(f"acme/scratch/{id}/x", b"x")
    await orion.shell.apply([(id, ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded"))])
    async with asyncio.timeout(20):
        await cleaned.wait()
    assert JobClean.type not in {one.type for one in (await world.job(id)).outbox}
    assert await keys_below(world, f"acme/scratch/{id}/") == []
    await orion.cleaner.stop()
    assert await world.bus.depth(CLEAN.name) == 0


async def test_an_order_that_waits_for_its_turn_is_not_published(world: Any, orion: OrionService) -> None:
    """Nor is one that is in work; another Orion's sweep takes it for forgotten, as one dies with all that it holds."""
    await world.bus.declare(CLEAN)
    id, known, begun, go_on = await running(orion), world.objects.delete_prefix, asyncio.Event(), asyncio.Event()

    async def slowly(prefix: str) -> int:
        begun.set()
        await go_on.wait()
        return await known(prefix)  # type: ignore[no-any-return]

    world.objects.delete_prefix = slowly
    orion.cleaner.start()
    await orion.shell.apply([(id, ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded"))])
    world.clock.pass_(6)
    assert (await orion.sweeper.sweep()).republished == 0
    assert await world.bus.depth(CLEAN.name) == 0
    async with asyncio.timeout(20):
        await begun.wait()
    await orion.sweeper.sweep()
    assert await world.bus.depth(CLEAN.name) == 0
    await world.orion().sweeper.sweep()
    assert await world.bus.depth(CLEAN.name) == 1
    cleaned = asyncio.Event()
    orion.shell.watch(lambda job: cleaned.set() if job.phase is Phase.clean else None)
    go_on.set()
    async with asyncio.timeout(20):
        await cleaned.wait()
    await orion.cleaner.stop()


async def test_what_a_gatherer_does_not_get_done_is_held_no_more() -> None:
    begun = asyncio.Event()

    async def never(items: list[str]) -> None:
        begun.set()
        await asyncio.Event().wait()

    gatherer: Gatherer[str] = Gatherer("test", never)
    gatherer.add("a")
    assert not gatherer.holds("a", within_s=60), "it does not run"
    gatherer.start()
    assert gatherer.holds("a", within_s=60)
    async with asyncio.timeout(20):
        await begun.wait()
    gatherer.add("b")
    assert gatherer.holds("a", within_s=60) and gatherer.holds("b", within_s=60)
    assert not gatherer.holds("a", within_s=0) and not gatherer.holds("c", within_s=60)
    await gatherer.stop(rest=False)
    assert not gatherer.holds("b", within_s=60)


async def test_an_order_to_clean_up_that_was_forgotten_is_found_in_its_outbox(world: Any, orion: OrionService) -> None:
    await world.bus.declare(CLEAN)
    orion.shell.keep(lambda order: order.command.type == JobClean.type)
    id = await running(orion)
    await orion.shell.apply([(id, ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded"))])
    await orion.sweeper.sweep()
    assert await world.bus.depth(CLEAN.name) == 0, "perhaps it is being carried out"
    world.clock.pass_(6)
    await world.orion().sweeper.sweep()
    assert await world.bus.depth(CLEAN.name) == 1
