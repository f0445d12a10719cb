"""The embedded bus's file: SQLite in WAL mode, written by one thread that puts whatever is waiting into one commit.

Operations run in the order in which they were submitted, and their results arrive in the event loop in that order.
One fsync costs the same for one message and for a hundred, so writers never wait for a timer, only for the commit
before theirs.
"""

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from studio9_common.bus.port import BusUnavailable
from studio9_common.errors import Studio9Error

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

BATCH_LIMIT = 2000
"""Operations in one commit at most, so that the first does not wait for very many others."""

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS queue (name TEXT PRIMARY KEY, spec TEXT NOT NULL, delivered INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS message (
  seq INTEGER PRIMARY KEY, queue TEXT NOT NULL, routing_key TEXT NOT NULL, message_id TEXT NOT NULL,
  headers TEXT NOT NULL, body BLOB NOT NULL, expires_at REAL, redelivered INTEGER NOT NULL DEFAULT 0, due REAL);
CREATE INDEX IF NOT EXISTS message_ready ON message (queue, seq) WHERE due IS NULL;
CREATE INDEX IF NOT EXISTS message_expiry ON message (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS dead (
  id TEXT PRIMARY KEY, queue TEXT NOT NULL, reason TEXT NOT NULL, routing_key TEXT NOT NULL,
  message_id TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL);
"""


class BusInUse(Studio9Error):
    """This bus file is open already; one bus serves one process: share it, or stop the other process."""

    status = 409
    code = "bus_in_use"


@dataclass(slots=True)
class _Job:
    run: Operation[Any]
    then: Callable[[Any], None] | None
    future: asyncio.Future[Any]


class Store:
    """The file and its writer thread. To be opened and used from one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="bus-writer", daemon=True)
        self._connection: sqlite3.Connection | None = None
        self._lock = -1
        self.closed = False

    async def open(self) -> None:
        """Creates the file where it is missing. Raises BusInUse while another process or bus has it open."""
        await asyncio.to_thread(self._open)
        self._thread.start()

    async def close(self) -> None:
        """Waits until everything submitted is on disk."""
        if self.closed:
            return
        self.closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def submit(self, run: Operation[T], then: Callable[[T], None] | None = None) -> asyncio.Future[T]:
        """Runs an operation inside the next commit; `then` gets its result in the event loop, before the future.

        The future ends once the commit is durable, or with BusUnavailable. It need not be awaited.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self.closed:
            future.set_exception(BusUnavailable("the embedded bus is closed"))
            future.exception()
            return future
        self._jobs.put(_Job(run, then, future))
        return future

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise BusInUse() from None
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise BusUnavailable(f"the bus file is of schema {version}; run the newer release that wrote it")
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except (sqlite3.Error, BusUnavailable) as error:
            connection.close()
            os.close(self._lock)
            if isinstance(error, BusUnavailable):
                raise
            raise BusUnavailable(f"the bus file cannot be opened: {error}") from error
        self._connection = connection

    def _work(self) -> None:
        connection = self._connection
        assert connection is not None
        last = False
        while not last:
            job = self._jobs.get()
            batch: list[_Job] = []
            while job is not None:
                batch.append(job)
                if len(batch) >= BATCH_LIMIT:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            last = job is None
            if batch:
                self._report(_commit(connection, batch))
        connection.close()
        os.close(self._lock)

    def _report(self, done: list[tuple[_Job, Any, Exception | None]]) -> None:
        try:
            self._loop.call_soon_threadsafe(_finish, done)
        except RuntimeError:
            return  # the loop has ended; nobody waits any more


def _commit(connection: sqlite3.Connection, batch: list[_Job]) -> list[tuple[_Job, Any, Exception | None]]:
    try:
        connection.execute("BEGIN IMMEDIATE")
        results = [job.run(connection) for job in batch]
        connection.execute("COMMIT")
    except Exception as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if len(batch) == 1:
            return [(batch[0], None, error)]
        # One bad operation must not fail its neighbours: each again, alone.
        return [entry for job in batch for entry in _commit(connection, [job])]
    return [(job, result, None) for job, result in zip(batch, results, strict=True)]


def _finish(done: list[tuple[_Job, Any, Exception | None]]) -> None:
    for job, result, error in done:
        if error is None and job.then is not None:
            job.then(result)
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(result)
        else:
            known = isinstance(error, Studio9Error)
            job.future.set_exception(error if known else BusUnavailable(f"the bus file cannot be written: {error}"))
            job.future.exception()  # seen: not every caller waits
