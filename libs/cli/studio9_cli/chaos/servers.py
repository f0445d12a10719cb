"""RabbitMQ and Elasticsearch for one run alone, as processes that are killed, frozen, ended and started again."""

import asyncio
import os
import signal
import subprocess
from contextlib import suppress
from typing import Protocol

from studio9_cli.servers.processes import Process, Processes

START_S = 180.0
CLEAN_END_S = 30.0


class Node(Protocol):
    """studio9_cli.servers' RabbitNode and ElasticsearchNode."""

    port: int
    url: str

    def begin(self) -> Process: ...

    def ready(self) -> bool: ...


class Restartable:
    """A process group that can be signalled as a whole, and begun again. `begin` starts it without waiting."""

    def __init__(self, name: str, processes: Processes) -> None:
        self.name = name
        self._processes = processes
        self.process: Process | None = None

    def signal(self, number: int) -> None:
        """To every process of the group; nothing where there is none."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.popen.pid, number)

    async def kill(self) -> None:
        """SIGKILL, until it is gone."""
        self.signal(signal.SIGKILL)
        await self.gone()

    async def end(self) -> None:
        """SIGTERM, and SIGKILL to what has not ended in time."""
        self.signal(signal.SIGTERM)
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self.process.popen.wait, CLEAN_END_S)
        await self.kill()

    async def gone(self) -> None:
        """Reaps it."""
        process, self.process = self.process, None
        if process is not None:
            await asyncio.to_thread(self._processes.stop, process)


class Server(Restartable):
    """One of the servers."""

    def __init__(self, name: str, node: Node, processes: Processes) -> None:
        super().__init__(name, processes)
        self.node = node

    def begin(self) -> None:
        self.process = self.node.begin()

    async def ready(self, within_s: float = START_S) -> None:
        """Until it takes connections. Raises ProcessEnded."""
        assert self.process is not None
        await asyncio.to_thread(self.process.wait_until, self.node.ready, within_s)
