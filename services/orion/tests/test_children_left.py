"""What children leave for which a task has asked: it is there while their parent lives, and goes with it, once."""

from typing import Any

import httpx
import pytest

from studio9_common.bus.port import Queue
from studio9_common.contracts.collections import SWEEPS
from studio9_common.contracts.job import Child, ChildRequest, Job, ObjectRef, Phase, Spec, State
from studio9_common.contracts.messages import JobRequested
from studio9_common.contracts.reasons import reason
from studio9_common.ids import new_id
from studio9_common.objects.port import ObjectsUnavailable
from studio9_common.tokens import Caller
from studio9_orion.app import OrionService
from studio9_orion.core.events import Assigned, CancelRequested, Cleaned, Requested, ResultReceived, Tick
from studio9_orion.rendering import message_of
from studio9_orion.shell import Told

ANA: dict[str, Any] = {"organisation": "acme", "owner": "ana", "request_hash": "h"}


@pytest.fixture
async def orion(world: Any) -> OrionService:
    """Not started: the test calls its parts."""
    await world.bus.declare(Queue("worker.w1.v1", ("worker.*.w1",)))
    return world.orion()  # type: ignore[no-any-return]


async def asked(orion: OrionService, *names: str) -> Job:
    """A search whose task has asked for children; they run."""
    id = new_id()
    children = tuple(ChildRequest(name=name, spec=Spec(kind="trial")) for name in names)
    asks = ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded", children=children)
    told: list[Told] = [(id, Requested(job=id, spec=Spec(kind="tune"), **ANA)), (id, Assigned(worker="w1")), (id, asks)]
    parent = (await orion.shell.apply(told)).jobs[id]
    for command in parent.outbox:
        if command.type == JobRequested.type:
            message = message_of(parent, command, orion.shell.policy)
            assert isinstance(message, JobRequested)
            await running(orion, message.job, parent=id, context=message.context)
    return parent


async def running(orion: OrionService, id: str, **given: Any) -> None:
    request = Requested(job=id, spec=Spec(kind="trial"), **given, **ANA)
    await orion.shell.apply([(id, request)])
    await orion.shell.apply([(id, Assigned(worker="w1"))])


async def end(world: Any, orion: OrionService, id: str, why: Any = None, *, clean: bool = True) -> str:
    """The job's task has ended, and left a file and a checkpoint; its key."""
    fence = (await world.job(id)).fence
    prefix = f"acme/jobs/{id}/{fence}/"
    refs = [ObjectRef(key=f"{prefix}{name}", sha256="0" * 64, size=1) for name in ("manifest.json", "last.pt")]
    for ref in refs:
        await world.objects.put(ref.key, b"x")
    result = ResultReceived(
        worker="w1", organisation="acme", fence=fence, outcome="failed" if why else "succeeded",
        reason=why, manifest=None if why else refs[0], checkpoint=refs[1],
    )  # fmt: skip
    await orion.shell.apply([(id, result)])
    if clean:
        await orion.cleaner.clean([id])
    return refs[1].key


async def keys_of(world: Any, *ids: str) -> set[str]:
    """The jobs below whose prefixes anything is left."""
    return {id for id in ids if [info async for info in world.objects.list(f"acme/jobs/{id}/")]}


async def go_on(world: Any, orion: OrionService, parent: Job, names: tuple[Child, ...]) -> None:
    """With the children's ends the parent waits for a slot anew, and gets one."""
    assert (await world.job(parent.id)).phase is Phase.queued, [one.name for one in names]
    await orion.shell.apply([(parent.id, Assigned(worker="w1"))])


async def retried(world: Any, orion: OrionService, job: str) -> tuple[int, str]:
    token = world.keys.sign(Caller("operator", "acme"), "orion")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(orion.asgi), base_url="http://orion") as http:
        answer = await http.post(f"/v1/jobs/{job}/retry", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()["type"]


async def test_what_children_have_made_goes_with_their_search(world: Any, orion: OrionService) -> None:
    parent = await asked(orion, "a", "b")
    a, b = (one.job for one in parent.children)
    own = new_id()
    await running(orion, own, parent=parent.id, context={"asked": "1:a"})
    await end(world, orion, a)
    await end(world, orion, b, reason("user_error", "The rate is too high."))
    await end(world, orion, own)
    await orion.orphans.sweep()
    assert await keys_of(world, a, b, own) == {a, b, own}, "their search needs it"
    assert await retried(world, orion, b) == (409, "urn:studio9:problem:removed_with_parent"), "it would go, too"
    await go_on(world, orion, parent, parent.children)
    await end(world, orion, parent.id)

    assert await keys_of(world, a, b, own, parent.id) == {own, parent.id}
    found = await world.job(b)
    assert (found.state, found.reason.message) == (State.failed, "The rate is too high."), "it still says why"
    assert [one.events[-1].type for one in (await world.job(a), found)] == ["outputs_removed"] * 2
    assert (await world.job(own)).events[-1].type == "cleaned", "somebody has requested it"
    assert await retried(world, orion, b) == (409, "urn:studio9:problem:removed_with_parent")
    before = await world.job(a)
    await orion.cleaner.clean([parent.id, a])
    assert (await orion.orphans.sweep()).objects == {} and await world.job(a) == before


async def test_a_child_that_ends_after_its_search_leaves_nothing(world: Any, orion: OrionService) -> None:
    parent = await asked(orion, "a")
    child = parent.children[0].job
    await orion.shell.apply([(parent.id, CancelRequested(job=parent.id, organisation="acme", requested_by="ana"))])
    await orion.cleaner.clean([parent.id])
    assert (await world.job(parent.id)).phase is Phase.clean
    assert (await world.job(child)).phase is Phase.cancelling
    await end(world, orion, child)
    assert await keys_of(world, child) == set()
    found = await world.job(child)
    assert [one.type for one in found.events[-3:]] == ["completed", "outputs_removed", "cleaned"]


async def test_what_a_cut_off_child_stores_late_is_removed_too(world: Any, orion: OrionService) -> None:
    parent = await asked(orion, "a")
    child = parent.children[0].job
    await orion.shell.apply([(parent.id, CancelRequested(job=parent.id, organisation="acme", requested_by="ana"))])
    await orion.cleaner.clean([parent.id])
    world.clock.pass_(60)
    await orion.shell.apply([(child, Tick())])
    checkpoint = f"acme/jobs/{child}/1/checkpoints/000001-00000000-a.pt"
    await world.objects.put(checkpoint, b"x")
    await orion.cleaner.clean([child])
    found = await world.job(child)
    assert (found.state, found.phase) == (State.cancelled, Phase.clean) and await keys_of(world, child) == set()
    await world.objects.put(checkpoint, b"x")
    world.clock.pass_(1)
    assert (await orion.orphans.sweep()).objects == {f"acme/jobs/{child}/1/": 1}


async def test_what_a_cleaner_has_overlooked_is_swept_away(world: Any, orion: OrionService) -> None:
    """As one of an earlier version does, which knows nothing of it."""
    parent = await asked(orion, "a", "b")
    a, b = (one.job for one in parent.children)
    await end(world, orion, a)
    await end(world, orion, b, reason("user_error"))
    await go_on(world, orion, parent, parent.children)
    await end(world, orion, parent.id, clean=False)
    await orion.shell.apply([(parent.id, Cleaned())])
    world.clock.pass_(1)
    removed = await orion.orphans.sweep()
    assert removed.objects == {f"acme/jobs/{a}/": 2, f"acme/jobs/{b}/": 2}
    mark = await world.store.get(SWEEPS.name, "orphans")
    assert {one["why"] for one in mark.body["detail"]["removed"]} == {"made for the task of a job that has ended"}
    world.clock.pass_(1)
    assert (await orion.orphans.sweep()).objects == {}


async def test_a_search_is_clean_once_its_children_are_gone(world: Any, orion: OrionService) -> None:
    parent = await asked(orion, "a")
    child = parent.children[0].job
    await end(world, orion, child)
    await go_on(world, orion, parent, parent.children)
    await end(world, orion, parent.id, clean=False)
    known = world.objects.delete_prefix

    async def away(prefix: str) -> int:
        if prefix == f"acme/jobs/{child}/":
            raise ObjectsUnavailable
        return await known(prefix)  # type: ignore[no-any-return]

    world.objects.delete_prefix = away
    with pytest.raises(ObjectsUnavailable):
        await orion.cleaner.clean([parent.id])
    assert (await world.job(parent.id)).phase is Phase.cleaning
    world.objects.delete_prefix = known
    await orion.cleaner.clean([parent.id])
    assert (await world.job(parent.id)).phase is Phase.clean and await keys_of(world, child) == set()
