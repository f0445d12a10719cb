"""Runs Celery beside the platform: its environment, its worker, and how fast it gets durable results."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import psycopg

from studio9_cli import project
from studio9_cli.bench.kit.usage import server_pid, total
from studio9_cli.servers.processes import Processes
from studio9_common.errors import Studio9Error

PROGRAM = Path(__file__).with_name("celery_peer.py")
POLL_S = 0.02
TURN_S = 300.0
"""Longest time that one turn may take."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Jobs that were carried to durable results, and what that took."""

    jobs: int
    seconds: float
    cpu_s: float
    cpu_of: Mapping[str, float] = field(default_factory=dict)
    """The same by process, where it is known."""

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds


class Celery:
    """An asynchronous context manager: a worker with two children, a submitter, a database of its own."""

    def __init__(self, processes: Processes, folder: Path, *, broker: str, postgresql: str, name: str) -> None:
        self._processes, self._folder = processes, folder
        self._broker, self._postgresql, self._name = broker, postgresql, name
        self._database = urlsplit(postgresql)._replace(path=f"/{name}").geturl()
        self._pids = [pid for url in (broker, postgresql) if (pid := server_pid(url)) is not None]
        self._submitter: asyncio.subprocess.Process | None = None
        self._results: psycopg.AsyncConnection[tuple[int]] | None = None
        self._done = 0

    async def __aenter__(self) -> Self:
        python = await asyncio.to_thread(environment)
        await self._administer(f'CREATE DATABASE "{self._name}"')
        values = {
            "BROKER": self._broker,
            "RESULTS": f"db+{urlsplit(self._database)._replace(scheme='postgresql+psycopg').geturl()}",
            "PYTHONPATH": str(PROGRAM.parent),
        }
        command: list[str | Path] = [
            python,
            "-m",
            "celery",
            "-A",
            PROGRAM.stem,
            "worker",
            "--without-gossip",
            "--without-mingle",
        ]
        worker = self._processes.spawn(
            "celery",
            [*command, "-l", "warning"],
            log=self._folder / "celery.log",
            environment=values,
            folder=self._folder,
        )
        self._submitter = await asyncio.create_subprocess_exec(
            python, PROGRAM, env=values, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._pids += [worker.popen.pid, self._submitter.pid]
        self._results = await psycopg.AsyncConnection.connect(self._database, autocommit=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._results is not None:
            await self._results.close()
        if self._submitter is not None and self._submitter.stdin is not None:
            self._submitter.stdin.close()
            await self._submitter.wait()
        self._processes.close()
        await self._administer(f'DROP DATABASE IF EXISTS "{self._name}" WITH (FORCE)')

    async def turn(self, jobs: int) -> Turn:
        """Submits so many and waits until the database holds the result of each."""
        assert self._submitter is not None and self._submitter.stdin is not None and self._submitter.stdout is not None
        before, started = total(self._pids).cpu_s, time.perf_counter()
        self._submitter.stdin.write(b"%d\n" % jobs)
        await self._submitter.stdin.drain()
        async with asyncio.timeout(TURN_S):
            while True:
                await asyncio.sleep(POLL_S)
                if self._submitter.returncode is not None:
                    raise Studio9Error("Celery's submitter has ended; what it printed says why")
                if await self._count() >= self._done + jobs:
                    break
            seconds = time.perf_counter() - started
            await self._submitter.stdout.readline()
        self._done += jobs
        return Turn(jobs, seconds, total(self._pids).cpu_s - before)

    async def _count(self) -> int:
        assert self._results is not None
        try:
            cursor = await self._results.execute("SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'")
        except psycopg.errors.UndefinedTable:
            return 0
        row = await cursor.fetchone()
        return row[0] if row is not None else 0

    async def _administer(self, statement: str) -> None:
        async with await psycopg.AsyncConnection.connect(self._postgresql, autocommit=True) as connection:
            await connection.execute(statement.encode())


def environment() -> Path:
    """The interpreter of Celery's environment, made from `requirements/bench.lock` where it is missing or old."""
    python = project.environment_python("bench")
    lock, stamp = project.root() / "requirements" / "bench.lock", python.parents[1] / "studio9.stamp"
    if not (stamp.exists() and stamp.read_bytes() == lock.read_bytes()):
        shutil.rmtree(python.parents[1], ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        install = [
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--require-hashes",
            "--no-deps",
            "-r",
            str(lock),
        ]
        subprocess.run([str(python), "-m", *install], check=True, stdin=subprocess.DEVNULL)
        stamp.write_bytes(lock.read_bytes())
    return python
