"""Orion and Aries, or one of them, as in production: each a process of its own, on the bench's broker and store.

Each run has a virtual host and indexes of its own, which are gone afterwards.
"""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
from elasticsearch import AsyncElasticsearch

from studio9_cli.bench.kit.running import Bench
from studio9_cli.bench.kit.usage import Usage, server_pid, total
from studio9_cli.servers.instances import is_ready
from studio9_cli.servers.processes import Process, Processes
from studio9_common.clients.aries import AriesClient
from studio9_common.ids import new_id
from studio9_common.tokens import TokenKeys

READY_S = 60.0
SERVERS = {"broker": "STUDIO9_TEST_RABBITMQ_URL", "store": "STUDIO9_TEST_ELASTICSEARCH_URL"}


class Deployed:
    """An asynchronous context manager: at its end every process is stopped, vhost and indexes are removed."""

    def __init__(self, bench: Bench, services: Sequence[str] = ("aries", "orion")) -> None:
        self._services = services
        self.name = f"bench-{new_id()}"
        self.keys = TokenKeys.generate()
        self.processes = Processes()
        self.folder = Path(tempfile.mkdtemp(prefix="studio9-bench-"))
        self.processes.remove_at_end(self.folder)
        self.running: dict[str, Process] = {}
        self.store_url = bench.address(SERVERS["store"])
        broker = urlsplit(bench.address(SERVERS["broker"]))
        self.bus_url = broker._replace(path=f"/{self.name}").geturl()
        self._management = urlsplit(bench.address("STUDIO9_TEST_RABBITMQ_MANAGEMENT_URL"))
        self._ports: dict[str, int] = {}
        self._servers = {name: server_pid(bench.address(variable)) for name, variable in SERVERS.items()}

    async def __aenter__(self) -> Self:
        try:
            await self._vhost("PUT")
            for name in self._services:
                self.start(name, [sys.executable, "-m", f"studio9_{name}"])
            for name in self._services:
                self.running[name].wait_until(partial(is_ready, self.address(name)), READY_S)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Process:
        """A process with the settings of this deployment and `environment`."""
        self._ports[name] = self.processes.free_port()
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        values = self.environment(name) | dict(environment or {})
        self.running[name] = self.processes.spawn(
            name, command, log=self.folder / f"{name}.log", environment=values, folder=folder
        )
        return self.running[name]

    def environment(self, name: str) -> dict[str, str]:
        """The settings of a process that was started, without those that were given with it."""
        aries = self._ports["aries"]
        return {
            "STUDIO9_INSTALLATION": self.name,
            "STUDIO9_STATE_DIR": str(self.folder / name),
            "STUDIO9_PORT": str(self._ports[name]),
            "STUDIO9_TOKEN_KEYS": self.keys,
            "STUDIO9_LOG_LEVEL": "warning",
            "STUDIO9_DOCUMENTS_URL": self.store_url,
            "STUDIO9_ARIES_DOCUMENTS_URL": self.store_url,
            "STUDIO9_ARIES_URL": f"http://127.0.0.1:{aries}",
            "STUDIO9_BUS_URL": self.bus_url,
            "STUDIO9_OBJECTS_URL": f"file://{self.folder}/objects",
            "STUDIO9_OBJECTS_PUBLIC_URL": f"http://127.0.0.1:{aries}/objects",
        }

    def address(self, name: str) -> str:
        """Where a service answers."""
        return f"http://127.0.0.1:{self._ports[name]}"

    def aries(self) -> AriesClient:
        """A client that may read everything; close it."""
        return AriesClient(self.address("aries"), service="orion", keys=TokenKeys(self.keys))

    def usage(self, *names: str) -> Usage:
        """CPU and memory of named processes (aries, orion, …; broker, store) up to now."""
        pids = [self.running[name].popen.pid if name in self.running else self._servers.get(name) for name in names]
        return total(pid for pid in pids if pid is not None)

    async def close(self) -> None:
        self.processes.close()
        await self._vhost("DELETE")
        async with AsyncElasticsearch(self.store_url, request_timeout=60) as bare:
            places = await bare.indices.get_settings(index=f"{self.name}*", allow_no_indices=True)
            for place in places.body:
                await bare.indices.delete(index=place)
            templates = await bare.indices.get_index_template(name=f"{self.name}*")
            for item in templates.body["index_templates"]:
                await bare.indices.delete_index_template(name=item["name"])

    async def _vhost(self, method: str) -> None:
        parts = self._management
        host = f"{parts.scheme}://{parts.hostname}:{parts.port}/api/vhosts/{self.name}"
        async with httpx.AsyncClient(auth=(parts.username or "", parts.password or ""), timeout=30) as http:
            (await http.request(method, host)).raise_for_status()
