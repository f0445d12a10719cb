"""An agent that is frozen for longer than its lease, beside a container that runs on: the real Orion decides."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from studio9_aries.app import build as build_aries
from studio9_aries.settings import AriesSettings
from studio9_common.bus import open_bus
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.job import TERMINAL, Job, Phase, State
from studio9_common.documents.embedded import SqliteDocuments
from studio9_common.ids import new_id
from studio9_common.objects.local import LocalObjects
from studio9_common.tokens import TokenKeys
from studio9_orion.app import build as build_orion
from studio9_orion.settings import OrionSettings
from studio9_task.layout import TaskFolder
from studio9_worker.runners.engine import Engine

from ..integration.requester import Requester
from .harness import WORKER, Owner

LEASE_S = 4.0
HURRIED: dict[str, Any] = {
    "lease_s": LEASE_S, "tick_s": 0.5, "orphan_tick_s": 1.0, "cleaning_s": 2.0, "back_off_s": (0.1, 0.1, 0.1),
}  # fmt: skip
AGENT = str(Path(__file__).parent / "frozen_agent.py")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - an engine and folders have no event for it
            await asyncio.sleep(0.1)


class Agents:
    """Orion in this process, and agents in processes of their own, each with containers that are its alone."""

    def __init__(self, folder: Path, engine: Engine, image: str, broker: str, asks: Requester) -> None:
        self.asks = asks
        self._folder, self._engine, self._image, self._broker = folder, engine, image, broker
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    def folder(self, name: str) -> Path:
        """Of one agent; it is called as its folder, which no other test's agent is."""
        return self._folder / f"{self._folder.name}-{name}"

    async def start(self, name: str) -> None:
        given = (str(self.folder(name)), str(self._folder / "objects"), self._engine.url, self._image, self._broker)
        self._processes[name] = await asyncio.create_subprocess_exec(sys.executable, AGENT, *given)

    def freeze(self, name: str) -> None:
        os.kill(self._processes[name].pid, signal.SIGSTOP)

    def wake(self, name: str) -> None:
        os.kill(self._processes[name].pid, signal.SIGCONT)

    async def close(self) -> None:
        for name, process in self._processes.items():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            for labels in await self.containers(name):
                await asyncio.to_thread(self._engine.remove, self._owner(name).name(labels["studio9.job"]))

    def _owner(self, name: str) -> Owner:
        return Owner(self.folder(name).name, WORKER)

    def task(self, name: str, job: Job) -> TaskFolder:
        """The folder of a job's latest attempt."""
        return TaskFolder(self.folder(name) / "worker" / "jobs" / f"{job.id}.{job.fence}")

    async def runs(self, name: str, job: Job) -> str | None:
        """The id of the running container of a job's latest attempt."""
        container = await asyncio.to_thread(self._engine.find, self._owner(name).name(f"{job.id}.{job.fence}"))
        return container.id if container is not None and container.runs else None

    async def containers(self, name: str) -> Any:
        """The labels of every container of an agent."""
        return await asyncio.to_thread(self._engine.labelled, self._owner(name).labels)

    def holder(self, job: Job) -> str:
        """The name of the agent that has the latest attempt."""
        return job.attempts[-1].worker.removeprefix(f"{self._folder.name}-")

    async def waits(self, names: str, job: str, fence: int) -> Job:
        """The job once its task waits in a container of one of these agents."""

        def waits(now: Job) -> bool:
            if now.fence < fence or now.phase is not Phase.running or self.holder(now) not in names:
                return False
            log = self.task(self.holder(now), now).log
            return log.exists() and "waiting" in log.read_text()

        return await self.asks.until(job, waits, 60)

    async def nothing_left(self, name: str) -> None:
        """Until an agent has no container and no task's folder."""

        async def empty() -> bool:
            return not await self.containers(name) and not list((self.folder(name) / "worker" / "jobs").glob("*"))

        await until(empty)


@pytest.fixture
async def agents(
    tmp_path: Path, docker_url: str, docker_image: str, rabbitmq_url: str, rabbitmq_management_url: str
) -> AsyncIterator[Agents]:
    host = f"frozen-{new_id()}"
    parts = urlsplit(rabbitmq_management_url)
    vhosts = f"{parts.scheme}://{parts.hostname}:{parts.port}/api/vhosts/{host}"
    broker = urlsplit(rabbitmq_url)._replace(path=f"/{host}").geturl()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(auth=(parts.username or "", parts.password or ""), timeout=30)
        )
        (await http.put(vhosts)).raise_for_status()
        stack.push_async_callback(http.delete, vhosts)
        bus = await open_bus(broker, name="test")
        stack.push_async_callback(bus.close)
        documents = await SqliteDocuments.open(tmp_path / "aries.sqlite")
        stack.push_async_callback(documents.close)
        keys = TokenKeys(TokenKeys.generate())
        aries = build_aries(AriesSettings(), documents=documents, keys=keys)
        await aries.start()
        clients = [AriesClient(aries.asgi, service=service, keys=keys) for service in ("orion", "baile")]
        for client in clients:
            stack.push_async_callback(client.close)
        objects = LocalObjects(tmp_path / "objects", base_url="http://127.0.0.1/objects")
        stack.push_async_callback(objects.close)
        settings = OrionSettings(**HURRIED, state_dir=tmp_path / "orion")
        orion = build_orion(settings, bus=bus, store=clients[0], objects=objects, keys=keys)
        await orion.start()
        stack.push_async_callback(orion.stop)
        asks = await stack.enter_async_context(Requester(bus, objects, clients[1]).listening())
        engine = Engine(docker_url)
        stack.callback(engine.close)
        made = Agents(tmp_path, engine, docker_image, broker, asks)
        stack.push_async_callback(made.close)
        yield made


def ends(job: Job) -> list[str]:
    """The ends in a job's history."""
    final = {state.value for state in TERMINAL}
    return [event.type for event in job.events if event.type in final]


async def test_another_goes_on_while_an_agent_is_frozen_and_its_container_runs(agents: Agents) -> None:
    asks = agents.asks
    await agents.start("a")
    id = await asks.submit("wait")
    await agents.waits("a", id, 1)
    await agents.start("b")
    first = await agents.waits("ab", id, 1)  # on a busy machine the job may have moved while `b` was started
    frozen = agents.holder(first)
    other = "b" if frozen == "a" else "a"
    agents.freeze(frozen)
    second = await agents.waits(other, id, first.fence + 1)
    assert await agents.runs(frozen, first), "its container knows nothing of it"
    (agents.task(other, second).inputs / "go").touch()
    done = await asks.completed(id, 60)
    agents.wake(frozen)
    await agents.nothing_left("a")
    await agents.nothing_left("b")
    final = await asks.clean(id)
    assert [attempt.outcome for attempt in final.attempts].count("succeeded") == 1
    assert final.attempts[-1].outcome == "succeeded" and final.result == done.result
    assert ends(final) == ["completed"]
    superseded = f"{asks.organisation}/jobs/{id}/{first.fence}/"

    async def swept() -> bool:
        return [info.key async for info in asks.objects.list(superseded)] == []

    await until(swept)


async def test_a_container_runs_on_and_its_job_with_it_where_nobody_else_could_take_over(agents: Agents) -> None:
    asks = agents.asks
    await agents.start("a")
    id = await asks.submit("wait")
    running = await agents.waits("a", id, 1)
    container = await agents.runs("a", running)
    agents.freeze("a")
    lost = await asks.until(id, lambda found: found.phase in (Phase.queued, Phase.backing_off), 60)
    assert lost.state is State.queued and await agents.runs("a", running) == container
    agents.wake("a")
    back = await asks.until(id, lambda found: found.phase is Phase.running, 60)
    assert (back.fence, await agents.runs("a", back)) == (running.fence, container)
    (agents.task("a", back).inputs / "go").touch()
    final = await asks.clean(id, 60)
    assert [attempt.outcome for attempt in final.attempts] == ["succeeded"] and ends(final) == ["completed"]
    await agents.nothing_left("a")
