"""Jobs are followed by messages, and without them by what Aries says."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from studio9_baile.jobs.hearing import JOBS_QUEUE, PROGRESS_QUEUE, Hearing
from studio9_baile.jobs.outbox import Publisher
from studio9_baile.jobs.rereading import Rereader
from studio9_baile.jobs.streams import StreamFinder
from studio9_baile.models.jobs import Process, ProcessStatus, ResultState
from studio9_baile.models.learned import Model, ModelVersion, Stage, VersionStatus
from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType, LabelMode
from studio9_baile.models.runs import Deployment
from studio9_common.contracts.envelope import encode
from studio9_common.contracts.job import Attempt, Job, Phase, Spec, State
from studio9_common.contracts.messages import (
    JobAccepted,
    JobCancelled,
    JobFailed,
    JobOutput,
    JobProgress,
    JobQueued,
    JobStarted,
    Message,
)
from studio9_common.contracts.reasons import reason
from studio9_common.ids import new_id
from studio9_common.times import format_time

NOON = "2026-11-21T12:00:00.000000Z"


def life(process: Process, clock: Callable[[], datetime]) -> list[Message]:
    """What Orion tells of a job that runs, in order."""
    begin = clock()
    head = {"job": process.id, "kind": process.kind}
    times = [format_time(begin + timedelta(seconds=second)) for second in range(10)]
    return [
        JobAccepted(**head, time=times[0], state=State.queued),
        JobQueued(**head, time=times[0], attempt=0),
        JobStarted(**head, time=times[1], attempt=1, worker="w"),
        JobQueued(**head, time=times[2], attempt=1, reason=reason("worker_lost")),
        JobStarted(**head, time=times[3], attempt=2, worker="v"),
    ]


def failed(process: Process, clock: Callable[[], datetime], kind: type[Any] = JobFailed) -> Any:
    now = format_time(clock() + timedelta(seconds=20))
    state = State(kind.routing_key.removeprefix("job."))
    return kind(
        job=process.id, kind=process.kind, time=now, state=state, attempt=2, fence=2, created_at=now, started_at=now,
        ended_at=now, reason=reason("user_error", "there is no label"),
    )  # fmt: skip


def document(process: Process, state: State, clock: Callable[[], datetime], **changes: Any) -> Job:
    now = format_time(clock())
    over = state in (State.completed, State.failed, State.cancelled)
    given: dict[str, Any] = {
        "id": process.id, "organisation": process.organisation, "owner": process.owner, "spec": Spec(kind=process.kind),
        "request_hash": "h", "state": state, "phase": Phase.clean if over else Phase.running, "fence": 1,
        "attempts": (Attempt(number=1, fence=1, worker="w", assigned_at=now, started_at=now),), "created_at": now,
        "updated_at": now, "started_at": now, "ended_at": now if over else None,
    }  # fmt: skip
    return Job(**(given | changes))


async def test_messages_in_any_order_and_twice(
    installation: Any, ana: Any, orion: Any, asked: Any, current: Any, until: Any
) -> None:
    process = await asked(ana)
    clock = installation.baile.core.clock.now
    messages = life(process, clock) * 2
    random.Random(3).shuffle(messages)
    await orion.tell(process.organisation, *messages)

    async def arrived() -> bool:
        now = await current(process)
        return (now.status, now.attempt) == (ProcessStatus.RUNNING, 2)

    await until(arrived)
    await orion.tell(process.organisation, failed(process, clock), failed(process, clock, JobCancelled))

    async def over() -> Any:
        return (await current(process)).result_state is ResultState.done

    await until(over)
    ended = await current(process)
    assert ended.status is ProcessStatus.FAILED and ended.cause == "[user_error]: there is no label"
    await orion.tell(process.organisation, *life(process, clock))
    other = await asked(ana)
    await orion.tell(other.organisation, JobStarted(job=other.id, kind="x", time=NOON, attempt=1, worker="w"))

    async def other_runs() -> bool:
        return bool((await current(other)).status is ProcessStatus.RUNNING)

    await until(other_runs)
    assert (await current(process)).status is ProcessStatus.FAILED


async def test_several_instances_hear_at_once(installation: Any, ana: Any, asked: Any, current: Any) -> None:
    core = installation.baile.core
    processes = [await asked(ana) for _ in range(12)]
    generator = random.Random(5)

    async def instance() -> None:
        messages = [message for process in processes for message in life(process, core.clock.now)]
        generator.shuffle(messages)
        hearing, publisher = Hearing(core), Publisher(core, installation.bus)
        for start in range(0, len(messages), 10):
            bodies = [encode(one, source="orion", organisation=processes[0].organisation) for one in messages]
            deliveries: Any = [SimpleNamespace(body=one.body) for one in bodies[start : start + 10]]
            await hearing.jobs(deliveries)
            await publisher.step()

    await asyncio.gather(*(instance() for _ in range(4)))
    for process in processes:
        now = await current(process)
        assert (now.status, now.attempt) == (ProcessStatus.RUNNING, 2)


async def test_progress_has_a_queue_of_its_own(
    installation: Any, ana: Any, orion: Any, asked: Any, current: Any, until: Any
) -> None:
    assert PROGRESS_QUEUE.transient and PROGRESS_QUEUE.expires_s and PROGRESS_QUEUE.message_ttl_s
    process = await asked(ana)
    now = format_time(installation.baile.core.clock.now())
    await orion.tell(
        process.organisation,
        JobProgress(job=process.id, kind="train", time=now, attempt=1, fence=1, progress=0.25, remaining_s=29.1),
    )

    async def arrived() -> bool:
        return bool((await current(process)).progress == 0.25)

    await until(arrived)
    shown = await ana.ok("GET", f"/processes/{process.id}")
    assert (shown["status"], shown["progress"], shown["estimate"]) == ("RUNNING", 0.25, 30)


async def test_a_job_goes_on_without_any_message(
    installation: Any, ana: Any, orion: Any, asked: Any, current: Any, until: Any
) -> None:
    """The queue is deleted in the middle, with all that was in it."""
    core = installation.baile.core
    process = await asked(ana)
    await orion.hear()
    await installation.bus.delete(JOBS_QUEUE.name)
    orion.keep(document(process, State.running, core.clock.now))
    await Rereader(core).step()
    now = await current(process)
    assert (now.status, now.attempt) == (ProcessStatus.RUNNING, 1) and now.started_at is not None
    async with core.database.read(process.organisation) as work:
        assert [row.settled_at is None for row in await work.outbox.all(work.outbox.row.job == process.id)] == [False]
    await ana.ok("POST", f"/processes/{process.id}/cancel")
    why = reason("cancelled", "You cancelled it.")
    orion.keep(document(process, State.cancelled, core.clock.now, reason=why))
    await Rereader(core).step()

    async def over() -> bool:
        return bool((await ana.ok("GET", f"/processes/{process.id}"))["status"] == "CANCELLED")

    await until(over)
    async with core.database.read(process.organisation) as work:
        assert not await work.outbox.count(work.outbox.row.settled_at.is_(None))


async def test_rereading_waits_for_aries_and_for_requests_that_have_not_arrived(
    installation: Any, ana: Any, asked: Any, current: Any
) -> None:
    process = await asked(ana)
    await Rereader(installation.baile.core).step()
    assert (await current(process)).status is ProcessStatus.QUEUED
    installation.stand_ins.away = True
    again = Rereader(installation.baile.core)
    try:
        await again.step()
        raise AssertionError("Aries is away")
    except Exception as error:
        assert type(error).__name__ == "Unavailable"
    installation.stand_ins.away = False
    await again.step()


async def test_reports_on_outputs_never_go_back(
    installation: Any, ana: Any, orion: Any, asked: Any, current: Any, until: Any
) -> None:
    process = await asked(ana)
    for state, rows in (("failed", None), ("loaded", 7), ("loading", None), ("failed", None)):
        output = JobOutput(job=process.id, output="predictions", state=state, rows=rows)
        await orion.tell(process.organisation, output)
    await orion.tell(process.organisation, JobOutput(job=process.id, output="last", state="loading"))

    async def arrived() -> bool:
        return "last" in ((await current(process)).outputs or {})

    await until(arrived)
    assert (await current(process)).outputs["predictions"] == {"state": "loaded", "rows": 7, "message": ""}


# --- streams ---------------------------------------------------------------------------------------------------


async def deployment(installation: Any, api: Any) -> Deployment:
    """A deployment with what it needs."""
    core = installation.baile.core
    claims = core.tokens.read(api.token)
    async with core.database.write(claims.organisation) as work:
        head = {"organisation": work.organisation, "created_at": work.now, "updated_at": work.now}
        asset = {**head, "owner": claims.user, "name": new_id()}
        album = work.albums.add(
            Album(
                **asset, id=new_id(), status=AlbumStatus.ACTIVE, in_library=True, type=AlbumType.DERIVED,
                label_mode=LabelMode.LOCALIZATION,
            )
        )  # fmt: skip
        model = work.models.add(Model(**asset, id=new_id(), in_library=True))
        await work.flush()
        version = work.versions.add(
            ModelVersion(
                **head, id=new_id(), model=model.id, number=1, status=VersionStatus.ACTIVE, stage=Stage.deployed,
                framework="yolo", architecture="YOLO11N", head="YOLO_HEAD", tl_type="LOCALIZATION", parameters={},
            )
        )  # fmt: skip
        await work.flush()
        found: Deployment = work.deployments.add(
            Deployment(
                **asset, id=new_id(), enabled=True, model=model.id, model_version=version.id, bucket="local",
                prefix="", output=album.id,
            )
        )  # fmt: skip
    return found


def started(job: str, stream: str) -> JobStarted:
    context = {"stream": stream, "album": "whatever they say"}
    return JobStarted(job=job, kind="predict", context=context, time=NOON, attempt=1, worker="w")


async def test_a_streams_job_becomes_an_unlisted_process(
    installation: Any, ana: Any, bo: Any, orion: Any, until: Any
) -> None:
    stream = await deployment(installation, ana)
    theirs = await deployment(installation, bo)
    known, foreign, nobodys = new_id(), new_id(), new_id()
    # Another organisation's stream, and none at all, first: both are ignored.
    await orion.tell(stream.organisation, started(foreign, theirs.id), started(nobodys, "nothing"))
    await orion.tell(stream.organisation, started(known, stream.id), started(known, stream.id))

    async def arrived() -> Any:
        async with installation.baile.core.database.read(stream.organisation) as work:
            return await work.processes.find(known)

    process = await until(arrived)
    assert (process.target, process.target_id, process.owner) == ("ONLINE_JOB", stream.id, stream.owner)
    assert process.context == {"stream": stream.id, "outputs": {"predict": stream.output}}
    assert (await ana.ok("GET", "/processes")) == {"data": [], "count": 0}
    async with installation.baile.core.database.read(stream.organisation) as work:
        assert set(await work.processes.many([known, foreign, nobodys])) == {known}


async def test_a_streams_job_is_found_when_every_message_was_lost(installation: Any, ana: Any, orion: Any) -> None:
    core = installation.baile.core
    stream = await deployment(installation, ana)
    process = Process(id=new_id(), organisation=stream.organisation, owner=stream.owner, kind="predict")
    other = Process(id=new_id(), organisation=stream.organisation, owner=stream.owner, kind="predict")
    why = reason("cancelled", "gone")
    orion.keep(document(process, State.cancelled, core.clock.now, context={"stream": stream.id}, reason=why))
    orion.keep(document(other, State.cancelled, core.clock.now, reason=why))
    await StreamFinder(core).step()
    async with core.database.read(stream.organisation) as work:
        found = await work.processes.many([process.id, other.id])
    assert set(found) == {process.id} and found[process.id].ended["state"] == "cancelled"
