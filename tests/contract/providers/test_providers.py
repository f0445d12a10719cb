"""What every provider promises (`studio9_orion.providers.port`), each test once per provider."""

import pytest

from studio9_common.bus.port import Unroutable
from studio9_common.contracts.job import Requirements, Spec
from studio9_common.contracts.messages import WorkerCancel, WorkerRun
from studio9_common.errors import Studio9Error, Unavailable

from .conftest import GONE, HERE, POLICY, OwnWorkers


async def test_what_is_ordered_arrives_under_its_fence(sites: OwnWorkers) -> None:
    run = sites.run()
    assert await sites.provider.submit([run]) == [None]
    assert await sites.arrived(1) == [(WorkerRun.type, run.job.id, 1)]


async def test_the_same_order_again_is_the_same_attempt(sites: OwnWorkers) -> None:
    run = sites.run()
    for _ in range(2):
        assert await sites.provider.submit([run]) == [None]
    assert set(await sites.arrived(2)) == {(WorkerRun.type, run.job.id, 1)}, "whoever takes it twice knows it by that"


async def test_each_order_has_its_own_answer(sites: OwnWorkers) -> None:
    runs = [sites.run(), sites.run(GONE), sites.run()]
    first, lost, last = await sites.provider.submit(runs)
    assert (first, last) == (None, None) and isinstance(lost, Unroutable)
    assert {job for _, job, _ in await sites.arrived(2)} == {runs[0].job.id, runs[2].job.id}
    assert await sites.provider.submit([]) == []


async def test_a_cancel_follows_its_attempt_and_harms_nothing_where_there_is_none(sites: OwnWorkers) -> None:
    begun, never = sites.run(), sites.run()
    assert await sites.provider.submit([begun]) == [None]
    assert await sites.provider.cancel([sites.cancel(begun), sites.cancel(never)]) == [None, None]
    assert await sites.arrived(3) == [
        (WorkerRun.type, begun.job.id, 1),
        (WorkerCancel.type, begun.job.id, 1),
        (WorkerCancel.type, never.job.id, 1),
    ]
    (gone,) = await sites.provider.cancel([sites.cancel(sites.run(GONE))])
    assert gone is None or isinstance(gone, Unroutable)


async def test_status_is_told_in_order_and_only_of_what_was_heard_lately(sites: OwnWorkers) -> None:
    run, other = sites.run(), sites.run()
    await sites.shows(2, run)
    asked = [(other.job.id, 1), (run.job.id, 1), (run.job.id, 2)]
    told = await sites.provider.status(asked)
    assert [(one.job, one.fence) for one in told] == asked
    assert [one.state for one in told] == ["unknown", "running", "unknown"]
    sites.clock.pass_(POLICY.lease_s + 1)
    assert [one.state for one in await sites.provider.status(asked)] == ["unknown"] * 3


async def test_capacity_is_what_is_there_and_what_is_free(sites: OwnWorkers) -> None:
    assert await sites.provider.capacity() == []
    await sites.shows(2, sites.run())
    (place,) = await sites.provider.capacity()
    assert (place.worker, place.kind, place.total, place.free) == (HERE, "cpu", 2, 1)
    assert place.provider == sites.provider.name
    sites.clock.pass_(POLICY.lease_s + 1)
    assert await sites.provider.capacity() == [], "who says nothing for a lease offers nothing"


async def test_an_estimate_says_whether_and_when(sites: OwnWorkers) -> None:
    spec, big = Spec(kind="train"), Spec(kind="train", requirements=Requirements(gpus=1))
    for nobody in (await sites.provider.estimate(spec), await sites.provider.estimate(big)):
        assert not nobody.possible and nobody.why and nobody.start_s is None
    await sites.shows(1)
    assert (await sites.provider.estimate(spec)).start_s == 0
    refused = await sites.provider.estimate(big)
    assert not refused.possible and refused.why
    await sites.shows(1, sites.run())
    later = await sites.provider.estimate(spec)
    assert later.possible and later.start_s is None, "it waits, and nobody can tell how long"


async def test_out_of_reach_it_says_so_and_nothing_is_taken_for_done(sites: OwnWorkers) -> None:
    await sites.provider.validate()
    run = sites.run()
    await sites.cut_off()
    with pytest.raises(Unavailable):
        await sites.provider.validate()
    answer: Studio9Error | None
    try:
        (answer,) = await sites.provider.submit([run])
    except Unavailable as error:
        answer = error
    assert isinstance(answer, Unavailable)
