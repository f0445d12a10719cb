"""Job documents: the shared contract, compare-and-set, reads in one request."""

from dataclasses import replace

import pytest

from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.collections import job_document
from studio9_common.contracts.job import Attempt, Phase, State
from studio9_common.documents.port import Where
from studio9_common.errors import BadInput, Conflict, Forbidden, NotFound, PreconditionFailed

from .conftest import NOW, Clients, a_job


async def test_a_job_lives_by_compare_and_set(orion: AriesClient) -> None:
    job = a_job()
    etag = await orion.create_job(job)
    with pytest.raises(Conflict):
        await orion.create_job(job)
    attempt = Attempt(number=1, fence=1, worker="w1", assigned_at=NOW)
    running = replace(job, state=State.running, phase=Phase.running, attempts=(attempt,), fence=1)
    second = await orion.replace_job(running, etag)
    with pytest.raises(PreconditionFailed):
        await orion.replace_job(job, etag)
    assert await orion.get_job(job.id) == (running, second)
    other = a_job()
    found = await orion.get_jobs([other.id, job.id])
    assert found == [None, (running, second)]
    with pytest.raises(NotFound):
        await orion.replace_job(other, second)
    page = await orion.search("jobs", Where(equals={"worker": "w1"}), fresh=True, total=True)
    assert ([hit.id for hit in page.items], page.total) == ([job.id], 1)


async def test_fields_of_a_newer_version_are_kept(orion: AriesClient) -> None:
    job = replace(a_job(), extra={"carbon": {"grams": 3}})
    await orion.create_job(job)
    stored, _ = await orion.get_job(job.id)
    assert stored.extra == {"carbon": {"grams": 3}}


async def test_a_job_that_is_none_is_refused_with_the_field(orion: AriesClient) -> None:
    job = a_job()
    good = job_document(job)
    for body, field in (
        ({"organisation": "acme"}, "job"),
        ({**good, "job": {**good["job"], "state": "dancing"}}, "job.state"),
        ({**good, "job": {key: value for key, value in good["job"].items() if key != "owner"}}, "job.owner"),
        ({**good, "state": "running"}, "state"),
        ({**good, "worker": "w1"}, "worker"),
        ({**good, "unheard_of": 1}, "unheard_of"),
    ):
        with pytest.raises(BadInput) as refused:
            await orion.create("jobs", job.id, body)
        assert refused.value.field == field
    with pytest.raises(BadInput):
        await orion.create("jobs", a_job().id, good)
    with pytest.raises(BadInput):
        await orion.create("jobs", "not-an-id", good)


async def test_only_its_owner_writes_a_collection(as_service: Clients) -> None:
    job = a_job()
    for service in ("baile", "taurus", "worker", "nobody"):
        with pytest.raises(Forbidden):
            await as_service(service).create_job(job)
    claim = {"organisation": "acme", "stream": "s", "batch": "b", "state": "claimed", "created_at": NOW}
    with pytest.raises(Forbidden):
        await as_service("orion").create("claims", "c1", claim)
    await as_service("taurus").create("claims", "c1", claim)
    with pytest.raises(Forbidden):
        await as_service("worker").get("jobs", job.id)
    assert (await as_service("baile").get("claims", "c1")).body == claim


async def test_an_organisation_sees_and_changes_only_its_own(as_service: Clients) -> None:
    orion, baile = as_service("orion"), as_service("baile")
    ours, theirs = a_job("acme"), a_job("rival")
    for job in (ours, theirs):
        await orion.create_job(job)
    assert (await baile.get_job(ours.id, organisation="acme"))[0] == ours
    with pytest.raises(NotFound):
        await baile.get_job(theirs.id, organisation="acme")
    assert await baile.get_jobs([theirs.id], organisation="acme") == [None]
    for where in (Where(), Where(equals={"organisation": "rival"})):
        page = await baile.search("jobs", where, fresh=True, organisation="acme", total=True)
        assert ([hit.id for hit in page.items], page.total) == ([ours.id], 1)
        assert await baile.count("jobs", where, organisation="acme") == 1
    assert await baile.count("jobs") == 2

    taurus = as_service("taurus")
    mine = {"organisation": "acme", "stream": "s", "state": "claimed"}
    foreign = {"organisation": "rival", "stream": "s", "state": "claimed"}
    etag = await taurus.create("claims", "theirs", foreign, organisation="rival")
    with pytest.raises(Forbidden):
        await taurus.create("claims", "x", foreign, organisation="acme")
    with pytest.raises(NotFound):
        await taurus.replace("claims", "theirs", mine, etag, organisation="acme")
    with pytest.raises(NotFound):
        await taurus.delete("claims", "theirs", etag, organisation="acme")
    assert (await taurus.get("claims", "theirs")).etag == etag


async def test_a_month_is_dropped_only_when_its_jobs_are_over(orion: AriesClient) -> None:
    job = a_job()
    etag = await orion.create_job(job)
    await orion.put(
        "telemetry",
        f"{job.id}:1:1",
        {"organisation": "acme", "job": job.id, "fence": 1, "sequence": 1, "items": []},
    )
    (month,) = await orion.months("jobs")
    for collection in ("telemetry", "jobs"):
        with pytest.raises(Conflict):
            await orion.drop_month(collection, month)
    await orion.replace_job(replace(job, state=State.completed, phase=Phase.clean, ended_at=NOW), etag)
    await orion.drop_month("telemetry", month)
    assert await orion.months("telemetry") == [] and await orion.months("jobs") == [month]
    await orion.drop_month("jobs", month)
    assert await orion.find("jobs", job.id) is None
