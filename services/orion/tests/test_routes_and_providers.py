"""The operators' API through its tokens, and the provider port's first adapter."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from studio9_common.bus.port import Queue
from studio9_common.contracts.job import Phase, Requirements, Spec, State
from studio9_common.contracts.messages import AttemptBeat, Slot, WorkerBeat, WorkerRun
from studio9_common.ids import new_id
from studio9_common.settings import BadSettings
from studio9_common.tokens import Caller
from studio9_orion.app import OrionService
from studio9_orion.beats import Beats
from studio9_orion.core import Policy
from studio9_orion.core.events import Assigned, Requested, ResultReceived
from studio9_orion.providers.found import chosen, provider_classes
from studio9_orion.providers.port import Order, ProviderUnknown
from studio9_orion.providers.workers import WorkersProvider
from studio9_orion.settings import OrionSettings
from studio9_orion.workers import Workers


@pytest.fixture
def orion(world: Any) -> Any:
    return world.orion()


@pytest.fixture
async def http(orion: OrionService) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(orion.asgi), base_url="http://orion") as client:
        yield client


@pytest.fixture
def bearer(world: Any) -> Any:
    def header(organisation: str = "system", audience: str = "orion", **given: Any) -> dict[str, str]:
        token = world.keys.sign(Caller("baile", organisation, **given), audience)
        return {"Authorization": f"Bearer {token}"}

    return header


async def a_job(orion: OrionService, organisation: str = "acme", **changes: Any) -> str:
    id = new_id()
    spec = changes.pop("spec", Spec(kind="train"))
    event = Requested(job=id, organisation=organisation, owner="ana", spec=spec, request_hash="h", **changes)
    await orion.shell.apply([(id, event)])
    return id


async def test_only_service_tokens_open_the_routes(http: httpx.AsyncClient, bearer: Any) -> None:
    assert (await http.get("/v1/jobs")).status_code == 401
    assert (await http.get("/v1/jobs", headers=bearer(audience="aries"))).status_code == 401
    assert (await http.get("/v1/jobs", headers=bearer(job="j", fence=1))).status_code == 403


async def test_it_is_ready_once_its_queues_are_consumed(orion: OrionService, http: httpx.AsyncClient) -> None:
    """A request that comes before would find no queue, or wait in it."""
    unready = await http.get("/ready")
    assert unready.status_code == 503
    assert "orion.requests.v1" in unready.text
    await orion.start()
    try:
        async with asyncio.timeout(20):
            while (ready := await http.get("/ready")).status_code != 200:  # noqa: ASYNC110 - as a probe asks
                await asyncio.sleep(0.02)
        assert ready.json()["status"] == "ready"
    finally:
        await orion.stop()


async def test_jobs_are_listed_and_shown_within_the_organisation(
    orion: OrionService, http: httpx.AsyncClient, bearer: Any
) -> None:
    mine, other = await a_job(orion), await a_job(orion, "other")
    listed = (await http.get("/v1/jobs", headers=bearer())).json()["items"]
    assert {job["id"] for job in listed} <= {mine, other}
    queue = (await http.get("/v1/queue", headers=bearer("acme"))).json()["items"]
    assert [(job["id"], job["why_waiting"]) for job in queue] == [(mine, "has just arrived")]
    shown = (await http.get(f"/v1/jobs/{mine}", headers=bearer("acme"))).json()
    assert (shown["state"], shown["spec"]["kind"]) == ("queued", "train")
    events = (await http.get(f"/v1/jobs/{mine}/events", headers=bearer())).json()["items"]
    assert [event["type"] for event in events] == ["requested", "queued"]
    for id in (other, new_id(), "nonsense"):
        assert (await http.get(f"/v1/jobs/{id}", headers=bearer("acme"))).status_code == 404


async def test_cancel_is_durable_and_says_what_came_of_it(
    orion: OrionService, world: Any, http: httpx.AsyncClient, bearer: Any
) -> None:
    id = await a_job(orion)
    answer = await http.post(f"/v1/jobs/{id}/cancel", headers=bearer("acme"), json={"requested_by": "ana"})
    assert answer.json() == {"answer": "applied", "state": "cancelled", "phase": "cleaning"}
    assert (await world.job(id)).reason.message == "Cancelled by ana."
    done = await a_job(orion)
    await orion.shell.apply([(done, Assigned(worker="w1"))])
    answer = await http.post(f"/v1/jobs/{new_id()}/cancel", headers=bearer("acme"))
    assert answer.status_code == 404


async def test_cancel_after_the_end_says_finished_first(
    orion: OrionService, world: Any, http: httpx.AsyncClient, bearer: Any
) -> None:
    await world.bus.declare(Queue("worker.w1.v1", ("worker.*.w1",)))
    id = await a_job(orion)
    result = ResultReceived(worker="w1", organisation="acme", fence=1, outcome="succeeded")
    await orion.shell.apply([(id, Assigned(worker="w1")), (id, result)])
    answer = await http.post(f"/v1/jobs/{id}/cancel", headers=bearer())
    assert answer.json()["answer"] == "too_late"


async def test_retry_makes_a_new_job(orion: OrionService, world: Any, http: httpx.AsyncClient, bearer: Any) -> None:
    id = await a_job(orion, context={"experiment": "e"})
    assert (await http.post(f"/v1/jobs/{id}/retry", headers=bearer())).json()["status"] == 409
    await http.post(f"/v1/jobs/{id}/cancel", headers=bearer())
    answer = await http.post(f"/v1/jobs/{id}/retry", headers=bearer())
    assert answer.status_code == 201
    newer = await world.job(answer.json()["job"])
    assert (newer.retried_from, newer.state, newer.context) == (id, State.queued, {"experiment": "e"})
    assert (await world.job(id)).state is State.cancelled


@pytest.fixture
def provider(world: Any) -> WorkersProvider:
    beats, workers = Beats(world.store), Workers(world.store)
    return WorkersProvider(world.bus, beats, workers, world.clock, Policy())


async def test_workers_are_a_provider(
    orion: OrionService, world: Any, provider: WorkersProvider, http: httpx.AsyncClient, bearer: Any
) -> None:
    await provider.validate()
    assert await provider.capacity() == []
    assert not (await provider.estimate(Spec(kind="train"))).possible
    id = await a_job(orion)
    await orion.shell.apply([(id, Assigned(worker="gone"))])
    job = await world.job(id)
    assert (job.phase, job.events[-1].type) == (Phase.queued, "unroutable")
    queue = await world.listen("w1", "worker.*.w1")
    world.clock.pass_(10)
    await orion.shell.apply([(id, Assigned(worker="w1"))])
    job = await world.job(id)
    order = Order(job, next(command for command in job.outbox if command.type == WorkerRun.type))
    assert await provider.submit([order]) == [None]
    assert [type(message) for message in await world.take(queue)] == [WorkerRun, WorkerRun]
    attempt = AttemptBeat(job=id, organisation="acme", fence=job.fence, sequence=1, phase="running")
    slots = (Slot(id="1", job=id), Slot(id="2"))
    beat = WorkerBeat(worker="w1", instance="i", sequence=1, slots=slots, attempts=(attempt,))
    await orion.supervisor.take_beats([beat])
    assert [(place.total, place.free) for place in await provider.capacity()] == [(2, 1)]
    assert [one.state for one in await provider.status([(id, job.fence), (id, 99)])] == ["running", "unknown"]
    assert (await provider.estimate(Spec(kind="train"))).start_s == 0.0
    assert not (await provider.estimate(Spec(kind="train", requirements=Requirements(gpus=1)))).possible
    listed = (await http.get("/v1/workers", headers=bearer())).json()["items"]
    assert [worker["id"] for worker in listed] in ([], ["w1"]), "searches may lag"


async def test_a_run_for_a_worker_that_is_gone_comes_back(orion: OrionService, world: Any) -> None:
    id = await a_job(orion)
    await orion.shell.apply([(id, Assigned(worker="w9"))])
    job = await world.job(id)
    assert not any(command.type == WorkerRun.type for command in job.outbox), "what came back is not sent again"


def test_providers_are_found_by_name() -> None:
    assert provider_classes()["workers"] is WorkersProvider
    with pytest.raises(ProviderUnknown):
        chosen({}, "nowhere")


def test_settings_come_from_the_environment() -> None:
    given = {"STUDIO9_ORION_BACK_OFF_S": "1,2.5", "STUDIO9_ORION_LEASE_S": "30", "STUDIO9_INSTALLATION": "here"}
    settings = OrionSettings.load(environment=given)
    assert (settings.back_off_s, settings.policy.lease_s, settings.installation) == ((1.0, 2.5), 30.0, "here")
    with pytest.raises(BadSettings, match="lease_s"):
        OrionSettings.load(environment={"STUDIO9_ORION_LEASE_S": "0"})


def test_every_number_of_the_policy_has_a_setting_or_is_fixed_on_purpose() -> None:
    fixed = {"silent_check_s", "cleaning_max_s", "outputs_retry_max_s", "refused_s", "max_request", "max_summary"}
    fixed |= {"max_children", "max_children_in_all", "max_children_bytes"}
    assert set(Policy.__dataclass_fields__) - fixed <= set(OrionSettings.model_fields)
