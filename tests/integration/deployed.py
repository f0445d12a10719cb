"""The job core on real servers, each service a process of its own: two Orions, two workers, and a broker user each."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from studio9_cli.chaos.services import task_processes
from studio9_common.bus import open_bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient
from studio9_common.http.client import ServiceClient
from studio9_common.objects.connect import ObjectsSettings, open_objects
from studio9_common.tokens import TokenKeys
from studio9_task.layout import TaskFolder

from ..e2e.deployment import REGION, Deployment
from .embedded import ORION, WORKER, answer_of, until_gone
from .requester import Requester

INSTANCES = ("aries", "argo", "orion-1", "orion-2", "pegasus", "worker-1", "worker-2")
STAYS = "stays"
"""Label of the workers of the deployment itself: a test that counts attempts wants none of a machine that another test
lets join, and removes again."""
LEASE_S = 6.0
"""Longer than embedded: on a busy machine a process takes seconds to start."""


def hurried() -> dict[str, dict[str, str]]:
    """The settings of the embedded platform, as a process gets them."""
    found = {service: {f"STUDIO9_{service.upper()}_{name.upper()}": _text(value) for name, value in given.items()}
             for service, given in (("orion", ORION), ("worker", WORKER))}  # fmt: skip
    found["orion"] |= {"STUDIO9_ORION_LEASE_S": str(LEASE_S), "STUDIO9_ORION_OUTPUTS_RETRY_S": str(LEASE_S)}
    for name in DeployedPlatform.workers:
        found[name] = {"STUDIO9_WORKER_WORKER_ID": name, "STUDIO9_WORKER_LABELS": f"{name},{STAYS}"}
    return found


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, tuple) else str(value)


def end_tasks(folder: Path) -> None:
    """SIGKILL for every task, with its shim, below a folder; they live on after their agent. Blocks."""
    for pid in list(task_processes(folder)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class DeployedPlatform:
    """One test's view of a deployment that many tests share; the same calls as EmbeddedPlatform's."""

    orions = ("orion-1", "orion-2")
    workers = ("worker-1", "worker-2")
    lease_s = LEASE_S

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.keys = TokenKeys(deployment.secrets.token_keys)
        self.requester: Requester

    @classmethod
    @asynccontextmanager
    async def opened(cls, deployment: Deployment) -> AsyncIterator["DeployedPlatform"]:
        platform = cls(deployment)
        bus = await open_bus(deployment.vhost, name="test")
        s3 = urlsplit(deployment.servers.s3)
        objects = open_objects(
            ObjectsSettings(
                url=f"s3://{deployment.name}",
                endpoint=f"{s3.scheme}://{s3.hostname}:{s3.port}",
                region=REGION,
                access_key=s3.username,
                secret_key=s3.password,
            )
        )
        aries = AriesClient(deployment.address("aries"), service="baile", keys=platform.keys)
        try:
            async with Requester(bus, objects, aries).listening() as platform.requester:
                yield platform
        finally:
            await aries.close()
            await objects.close()
            await bus.close()

    def operator(self) -> ArgoClient:
        """How an operator writes to the configuration; whoever asks closes it."""
        return ArgoClient(self.deployment.address("argo"), service="studio9", keys=self.keys)

    async def start(self, *names: str) -> None:
        await asyncio.to_thread(self.deployment.start, *names)

    async def kill(self, name: str) -> None:
        await asyncio.to_thread(self.deployment.kill, name)

    async def end_others(self) -> None:
        """Ends what a test has started beside the deployment's own instances and did not come to end, tasks too."""
        for name, process in self.deployment.running.items():
            if name not in INSTANCES:
                if process.popen.poll() is None:
                    await asyncio.to_thread(self.deployment.processes.stop, process)
                await asyncio.to_thread(end_tasks, self.deployment.folder / name)

    async def delete_queues(self) -> None:
        """Every queue of the virtual host with what is in it, the broker's own helpers too."""
        place = urlsplit(self.deployment.servers.rabbitmq_management)
        base = f"{place.scheme}://{place.hostname}:{place.port}/api/queues/{self.deployment.name}"
        async with httpx.AsyncClient(auth=(place.username or "", place.password or ""), timeout=30) as http:
            for queue in (await http.get(base)).raise_for_status().json():
                await http.delete(f"{base}/{quote(queue['name'], safe='')}")

    def task(self, worker_name: str, job: str, fence: int = 1) -> TaskFolder:
        return TaskFolder(self.deployment.folder / worker_name / "jobs" / f"{job}.{fence}")

    async def gone(self, worker_name: str, job: str) -> None:
        await until_gone(self.task(worker_name, job))

    async def rows(self, sql: str) -> list[list[Any]]:
        return list((await self.ask("pegasus", "POST", "/v1/query", {"sql": sql}))["rows"])

    async def ask(self, service: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        name = next(name for name in INSTANCES if name.partition("-")[0] == service)
        client = ServiceClient(self.deployment.address(name), audience=service, service="operator", keys=self.keys)
        return await answer_of(client, method, path, self.requester.organisation, body)
