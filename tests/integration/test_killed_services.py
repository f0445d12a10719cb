"""SIGKILL for any service, connections cut: each service runs as processes of its own on real servers."""

import asyncio
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest

from studio9_common.contracts.job import Job, Phase, State

from .deployed import LEASE_S, STAYS, DeployedPlatform
from .relay import Relay
from .requester import Requester

AWAY_S = 1.25 * LEASE_S


@pytest.fixture
def platform(deployed: DeployedPlatform) -> DeployedPlatform:
    return deployed


def go(platform: DeployedPlatform, job: Job) -> Path:
    """The file whose appearance lets a waiting task do its last epoch."""
    return platform.task(job.attempts[-1].worker, job.id, job.fence).root / "go"


async def waiting_task(asks: Requester) -> Job:
    job = await asks.submit("train", parameters={"epochs": 3, "wait": True}, labels=(STAYS,))
    return await asks.working(job, epoch=2)


def one_attempt(job: Job) -> None:
    assert [attempt.outcome for attempt in job.attempts] == ["succeeded"]
    assert job.result is not None and job.result.summary["resumed_from"] == 0


async def test_no_orion_for_longer_than_a_lease(platform: DeployedPlatform, asks: Requester) -> None:
    """And the worker dies meanwhile, while its task ends: the result comes from its disk."""
    job = await waiting_task(asks)
    worker = job.attempts[-1].worker
    for name in platform.orions:
        await platform.kill(name)
    late = await asks.submit("nothing")
    go(platform, job).touch()
    await platform.kill(worker)
    await asyncio.sleep(AWAY_S)
    # The worker first: Orions that listen wait one lease for it, which a slow start may exceed.
    await platform.start(worker)
    await platform.start(*platform.orions)
    one_attempt(await asks.completed(job.id))
    await asks.completed(late)
    await asks.clean(job.id)


async def test_one_orion_of_two_is_enough(platform: DeployedPlatform, asks: Requester) -> None:
    job = await waiting_task(asks)
    await platform.kill("orion-1")
    jobs = [await asks.submit("nothing") for _ in range(4)]
    go(platform, job).touch()
    one_attempt(await asks.completed(job.id))
    for one in jobs:
        await asks.clean(one)


async def test_no_aries_for_longer_than_a_lease(platform: DeployedPlatform, asks: Requester) -> None:
    job = await waiting_task(asks)
    await platform.kill("aries")
    late = await asks.submit("nothing")
    go(platform, job).touch()
    await asyncio.sleep(AWAY_S)
    await platform.start("aries")
    one_attempt(await asks.completed(job.id))
    await asks.clean(late)
    assert await asks.losses(job.id, 3) == [1, 2, 3]


async def test_predictions_are_loaded_when_pegasus_is_back(platform: DeployedPlatform, asks: Requester) -> None:
    await platform.kill("pegasus")
    pictures = await asks.pictures("predict", "abc.png")
    job = await asks.submit("predict", kind="predict", inputs=(pictures,))
    done = await asks.completed(job)
    assert done.phase is Phase.cleaning
    await platform.start("pegasus")
    assert (await asks.clean(job)).outputs["predictions"].rows == 3
    assert len(await platform.rows(f"SELECT label FROM predictions WHERE job = '{job}'")) == 3


async def test_cut_connections_cost_nothing(platform: DeployedPlatform, asks: Requester) -> None:
    job = await waiting_task(asks)
    servers = platform.deployment.servers
    place, login = urlsplit(servers.rabbitmq_management), urlsplit(servers.rabbitmq_management)
    base = f"{place.scheme}://{place.hostname}:{place.port}/api"
    async with httpx.AsyncClient(auth=(login.username or "", login.password or ""), timeout=30) as http:
        listed = (await http.get(f"{base}/vhosts/{platform.deployment.name}/connections")).raise_for_status().json()
        assert len(listed) >= len(platform.workers) + len(platform.orions)
        for connection in listed:
            await http.delete(f"{base}/connections/{quote(connection['name'], safe='')}")
    go(platform, job).touch()
    one_attempt(await asks.completed(job.id))
    await asks.clean(await asks.submit("nothing"))


async def test_no_broker_for_longer_than_a_lease(platform: DeployedPlatform, asks: Requester, relay: Relay) -> None:
    job = await waiting_task(asks)
    relay.cut()
    try:
        go(platform, job).touch()
        await asyncio.sleep(AWAY_S)
    finally:
        relay.restore()
    one_attempt(await asks.completed(job.id))
    await asks.clean(job.id)
    await asks.clean(await asks.submit("nothing"))
    assert await asks.losses(job.id, 3) == [1, 2, 3]


async def test_jobs_flow_while_services_are_killed_in_turn(platform: DeployedPlatform, asks: Requester) -> None:
    jobs = [await asks.submit("nothing") for _ in range(4)]
    for name in ("orion-2", "aries", "worker-1"):
        await platform.kill(name)
        jobs += [await asks.submit("nothing") for _ in range(3)]
        await platform.start(name)
    ended = [await asks.clean(job, 60) for job in jobs]
    assert {job.state for job in ended} == {State.completed}
    assert sum(len(job.attempts) for job in ended) <= len(jobs) + 4, "lost or refused attempts are the exception"
    for job in ended:
        assert [attempt.outcome for attempt in job.attempts].count("succeeded") == 1
