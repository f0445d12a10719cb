"""Children that a task has asked for, over real parts: their parent hears of their ends, whoever has written them."""

from dataclasses import replace
from typing import Any

import pytest

from studio9_common.bus.port import Queue
from studio9_common.clients.aries import BulkItem
from studio9_common.contracts.collections import JOBS, job_document
from studio9_common.contracts.job import ChildRequest, Job, ObjectRef, Phase, Result, Spec, State
from studio9_common.contracts.reasons import reason
from studio9_common.ids import new_id
from studio9_orion.app import OrionService
from studio9_orion.core.events import Assigned, Requested, ResultReceived


@pytest.fixture
async def orion(world: Any) -> OrionService:
    """Not started: the test calls its parts."""
    await world.bus.declare(Queue("worker.w1.v1", ("worker.*.w1",)))
    return world.orion()  # type: ignore[no-any-return]


async def asked(orion: OrionService, *names: str) -> str:
    """A search whose task has asked for children; their requests have arrived."""
    id = new_id()
    event = Requested(job=id, organisation="acme", owner="ana", spec=Spec(kind="tune"), request_hash="h")
    await orion.shell.apply([(id, event), (id, Assigned(worker="w1"))])
    children = tuple(ChildRequest(name=name, spec=Spec(kind="trial")) for name in names)
    result = ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded", children=children)
    applied = await orion.shell.apply([(id, result)])
    for child in applied.jobs[id].children:
        request = Requested(
            job=child.job, organisation="acme", owner="ana", spec=child.spec, request_hash="h", parent=id
        )
        await orion.shell.apply([(child.job, request)])
    return id


async def write(world: Any, job: Job) -> None:
    """A job as an Orion of an earlier version leaves it, which tells nobody."""
    version = (await world.store.get_job(job.id))[1]
    item = BulkItem(action="replace", id=job.id, body=job_document(job), etag=version)
    assert [one.status for one in await world.store.bulk(JOBS.name, [item])] == [200]


@pytest.mark.parametrize("state", [State.completed, State.failed])
async def test_a_parent_finds_out_by_itself_that_its_children_have_ended(
    world: Any, orion: OrionService, state: State
) -> None:
    id = await asked(orion, "a", "b")
    a, b = (one.job for one in (await world.job(id)).children)
    made = Result(attempt=1, fence=1, manifest=ObjectRef(key=f"acme/jobs/{a}/1/m.json", sha256="b" * 64, size=9))
    why = reason("workers_lost") if state is State.failed else None
    await write(
        world, replace(await world.job(a), phase=Phase.clean, state=state, result=made, reason=why, deadlines={})
    )
    await orion.shell.check_related([await world.job(id)])
    parent = await world.job(id)
    assert [one.state for one in parent.children] == [state, None] and parent.phase is Phase.backing_off
    told = parent.children[0]
    assert (told.manifest, told.reason and told.reason.code) == (
        (made.manifest, None) if state is State.completed else (None, "workers_lost")
    )
    await write(world, replace(await world.job(b), phase=Phase.clean, state=state, deadlines={}))
    before = await world.job(id)
    await orion.shell.check_related([before, before])
    assert (await world.job(id)).phase is Phase.queued
    after = await world.job(id)
    await orion.shell.check_related([before])
    assert await world.job(id) == after, "told twice, nothing changes"


async def test_another_organisations_job_ends_no_wait(world: Any, orion: OrionService) -> None:
    id = await asked(orion, "a")
    child = (await world.job(id)).children[0].job
    await write(
        world,
        replace(await world.job(child), organisation="evil", phase=Phase.clean, state=State.completed, deadlines={}),
    )
    await orion.shell.check_related([await world.job(id)])
    parent = await world.job(id)
    assert (parent.phase, parent.children[0].state) == (Phase.backing_off, None)
