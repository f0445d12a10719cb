"""The job core in one process, on the embedded parts: Aries, Argo, Orion, Pegasus, two workers."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from pydantic import SecretStr

from studio9_argo import app as argo
from studio9_argo.settings import ArgoSettings
from studio9_aries import app as aries
from studio9_aries.settings import AriesSettings
from studio9_baile.app import BaileService
from studio9_baile.app import build as build_baile
from studio9_baile.settings import BaileSettings
from studio9_cli.platform.ports import Ports, open_ports
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient
from studio9_common.http.client import ServiceClient
from studio9_common.service import Service
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Span, Tracer
from studio9_common.warehouse.port import Warehouse
from studio9_orion import app as orion
from studio9_orion.settings import OrionSettings
from studio9_pegasus import app as pegasus
from studio9_pegasus.settings import PegasusSettings
from studio9_task.layout import TaskFolder
from studio9_worker import app as worker
from studio9_worker.settings import WorkerSettings

from .requester import Requester

PROGRAM = shlex.join((sys.executable, str(Path(__file__).parent / "task_program.py")))
ORION: dict[str, Any] = {
    "lease_s": 3.0, "tick_s": 0.5, "orphan_tick_s": 5.0, "assigned_s": 6.0, "cancelling_s": 8.0, "cancel_grace_s": 1.0,
    "cleaning_s": 3.0, "outputs_retry_s": 3.0, "back_off_s": (0.1, 0.1, 0.1),
}  # fmt: skip
"""Orion in a hurry: what takes tens of seconds in production takes a few here."""
WORKER: dict[str, Any] = {
    "task_command": PROGRAM, "threads": 1, "cpu_slots": 2, "beat_s": 0.6, "lease_s": 3.0, "poll_s": 0.05,
    "result_resend_s": 2.0, "stop_grace_s": 1.0, "staging_patience_s": 2.0, "sweep_s": 5.0,
}  # fmt: skip


async def until_gone(task: TaskFolder) -> None:
    """Until an attempt's folder does not exist."""
    for _ in range(400):
        if not await asyncio.to_thread(task.root.exists):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{task.root} is still there")


async def answer_of(client: ServiceClient, method: str, path: str, organisation: str, body: Any) -> dict[str, Any]:
    """One call with a client of its own."""
    try:
        answer: dict[str, Any] = (await client.request(method, path, organisation=organisation, json=body)).json()
    finally:
        await client.close()
    return answer


class EmbeddedPlatform:
    """See the module's docstring. Instances are called as their service, or `service-n`."""

    orions = ("orion-1",)
    workers = ("worker-1", "worker-2")
    lease_s: float = ORION["lease_s"]

    def __init__(self, folder: Path, ports: Ports, worker_settings: Mapping[str, Any]) -> None:
        self._folder, self._ports = folder, ports
        self._worker_settings = {**WORKER, **worker_settings}
        self.keys = TokenKeys(TokenKeys.generate())
        self.spans: list[Span] = []
        """What the services told of their parts in traces."""
        self._running: dict[str, Service] = {}
        self._warehouse: Warehouse | None = None
        self._stack = AsyncExitStack()
        self.requester: Requester

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, folder: Path, *, organisation: str | None = None, **worker_settings: Any
    ) -> AsyncIterator["EmbeddedPlatform"]:
        async with open_ports(folder, public_url="http://127.0.0.1") as ports:
            platform = cls(folder, ports, worker_settings)
            async with platform._stack:
                for name in ("aries", "argo", *cls.orions, "pegasus", *cls.workers):
                    await platform.start(name)
                asks = Requester(ports.bus, ports.objects, platform._aries("baile"), organisation)
                platform.requester = await platform._stack.enter_async_context(asks.listening())
                try:
                    yield platform
                finally:
                    for name in reversed(list(platform._running)):
                        await platform.kill(name)

    def take(self, span: Span) -> None:
        """Every service's exporter."""
        self.spans.append(span)

    async def start(self, name: str) -> None:
        """A service that is not running; a worker finds what it left."""
        service = self._running[name] = self._built(name)
        await service.start()

    async def kill(self, name: str) -> None:
        """Ends a service without a word to anybody; a worker's tasks go on."""
        await self._running.pop(name).stop()

    async def delete_queues(self) -> None:
        """Every queue with what is in it."""
        for queue in await self.queues():
            await self._ports.bus.delete(queue)

    async def queues(self) -> list[str]:
        """The names of all queues of the services."""
        names = ("orion.requests.v1", "orion.results.v1", "orion.telemetry.v1", "orion.clean.v1", "orion.schedule.v1",
                 "orion.beats.v1", "pegasus.jobs.v1", *(f"worker.{name}.v1" for name in self.workers))  # fmt: skip
        return list(names)

    def task(self, worker_name: str, job: str, fence: int = 1) -> TaskFolder:
        """The folder of an attempt on a worker."""
        return TaskFolder(self._folder / worker_name / "jobs" / f"{job}.{fence}")

    async def gone(self, worker_name: str, job: str) -> None:
        """Until nothing of a job's first attempt is left on a worker."""
        await until_gone(self.task(worker_name, job))

    async def rows(self, sql: str) -> list[list[Any]]:
        """What an analyst of the requester's organisation gets."""
        return list((await self.ask("pegasus", "POST", "/v1/query", {"sql": sql}))["rows"])

    async def ask(self, service: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """What a service answers an operator of the requester's organisation."""
        name = next(name for name in self._running if name.partition("-")[0] == service)
        client = ServiceClient(self._running[name].asgi, audience=service, service="operator", keys=self.keys)
        return await answer_of(client, method, path, self.requester.organisation, body)

    def _aries(self, service: str) -> AriesClient:
        client = AriesClient(self._running["aries"].asgi, service=service, keys=self.keys)
        self._stack.push_async_callback(client.close)
        return client

    def baile(self, settings: BaileSettings) -> BaileService:
        """A Baile beside them, not started; its users are its own."""
        ports = self._ports
        return build_baile(
            settings, bus=ports.bus, objects=ports.objects, aries=self._aries("baile"), argo=self._argo("baile")
        )

    def operator(self) -> ArgoClient:
        """How an operator writes to the configuration."""
        return self._argo("studio9")

    def _argo(self, service: str) -> ArgoClient:
        client = ArgoClient(self._running["argo"].asgi, service=service, keys=self.keys)
        self._stack.push_async_callback(client.close)
        return client

    def _built(self, name: str) -> Service:
        ports, tracer = self._ports, Tracer(self)
        common: dict[str, Any] = {"state_dir": self._folder / name, "commit": "abc1234"}
        match name.partition("-")[0]:
            case "aries":
                return aries.build(AriesSettings(**common), documents=ports.aries, keys=self.keys, tracer=tracer)
            case "argo":
                key = SecretStr(Fernet.generate_key().decode())
                settings = ArgoSettings(**common, fernet_keys=key)
                return argo.build(settings, documents=ports.argo, bus=ports.bus, keys=self.keys, tracer=tracer)
            case "orion":
                return orion.build(
                    OrionSettings(**common, **ORION), bus=ports.bus, store=self._aries("orion"), objects=ports.objects,
                    keys=self.keys, tracer=tracer,
                )  # fmt: skip
            case "pegasus":
                about = PegasusSettings(**common)
                if self._warehouse is None:
                    self._warehouse = about.open_warehouse(ports.objects)
                    self._stack.push_async_callback(self._warehouse.close)
                return pegasus.build(
                    about, bus=ports.bus, objects=ports.objects, warehouse=self._warehouse,
                    argo=self._argo("pegasus"), keys=self.keys, tracer=tracer,
                )  # fmt: skip
            case _:
                python = Path(sys.executable)
                one = WorkerSettings(
                    **common, **self._worker_settings, worker_id=name, trainers_python=python, labels=name
                )
                return worker.build(one, bus=ports.bus, objects=ports.objects, argo=self._argo("worker"), tracer=tracer)
