"""The worker's durable state: one small SQLite file, each change synced before it counts.

It holds the highest fence per job, the tombstones of cancelled ones, refused runs, and the attempts with their phase
until their results are confirmed. Calls run in a thread of their own, one at a time.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.messages import WorkerResult, WorkerRun
from studio9_common.times import format_time
from studio9_worker.lease import AttemptKey
from studio9_worker.records import AttemptPhase, AttemptRecord, Cursor, Seen, StopCause

KEPT = timedelta(days=60)
"""How long the fences of a job that is no longer here are remembered; far longer than any message lives."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
  job TEXT PRIMARY KEY, highest INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0, seen_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS attempts (
  job TEXT NOT NULL, fence INTEGER NOT NULL, organisation TEXT NOT NULL, slot TEXT NOT NULL, run TEXT NOT NULL,
  phase TEXT NOT NULL, stop TEXT, cursor_start INTEGER, cursor_lines INTEGER, checkpoint TEXT, result TEXT,
  traceparent TEXT, PRIMARY KEY (job, fence)
);
CREATE TABLE IF NOT EXISTS refusals (
  job TEXT NOT NULL, fence INTEGER NOT NULL, why TEXT NOT NULL, count INTEGER NOT NULL, last_at TEXT NOT NULL,
  PRIMARY KEY (job, fence, why)
);
"""

_REF: TypeAdapter[ObjectRef] = TypeAdapter(ObjectRef)
Answer = TypeVar("Answer")
Work = Callable[[sqlite3.Connection], Any]


class WorkerState:
    """See the module's docstring. `open` before use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="worker-state")
        self._database: sqlite3.Connection | None = None
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Makes or opens the file. Raises sqlite3.Error."""
        await self._in_thread(self._open)

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.executescript(_SCHEMA)
        columns = {row[1] for row in database.execute("PRAGMA table_info(attempts)")}
        if "traceparent" not in columns:  # a folder of a version that followed no traces
            database.execute("ALTER TABLE attempts ADD COLUMN traceparent TEXT")
        self._database = database

    async def close(self) -> None:
        """Ends the thread, once what was asked for is done; further calls fail."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._database is not None:
            await self._in_thread(self._database.close)
        self._thread.shutdown()

    async def fact(self, name: str, make: Callable[[str | None], str], *, keep: bool = True) -> str:
        """A named text; made of the old one where there is none, or always if not `keep`."""

        def work(database: sqlite3.Connection) -> str:
            row = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            old = None if row is None else str(row[0])
            if old is not None and keep:
                return old
            new = make(old)
            database.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, new))
            return new

        return await self._do(work)

    async def seen(self, job: str) -> Seen:
        """The job's fences."""
        rows = await self._all("SELECT highest, cancelled FROM jobs WHERE job = ?", job)
        return Seen(*rows[0]) if rows else Seen()

    async def accept(
        self, record: AttemptRecord, now: datetime, may: Callable[[Seen], bool] = lambda seen: True
    ) -> Seen:
        """Writes down an attempt and its fence together, before it begins, if the job's fences so far, which it
        returns, allow it."""
        job, fence = record.key

        def work(database: sqlite3.Connection) -> Seen:
            row = database.execute("SELECT highest, cancelled FROM jobs WHERE job = ?", (job,)).fetchone()
            seen = Seen(*row) if row else Seen()
            if not may(seen):
                return seen
            _see(database, job, now, highest=fence)
            database.execute(
                "INSERT INTO attempts (job, fence, organisation, slot, run, phase, traceparent)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    job,
                    fence,
                    record.organisation,
                    " ".join(record.slots),
                    record.run.model_dump_json(),
                    record.phase,
                    record.traceparent,
                ),
            )
            return seen

        return await self._do(work)

    async def refuse(self, key: AttemptKey, why: str, now: datetime) -> None:
        """Records a run that was not begun; its fence counts as seen, so that it never will be."""

        def work(database: sqlite3.Connection) -> None:
            _see(database, key.job, now, highest=key.fence)
            database.execute(
                "INSERT INTO refusals VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET"
                " count = count + 1, last_at = excluded.last_at",
                (*key, why, format_time(now)),
            )

        await self._do(work)

    async def bury(self, key: AttemptKey, now: datetime) -> None:
        """Leaves a tombstone: no run of this job with this fence or a lower one begins any more."""
        await self._do(lambda database: _see(database, key.job, now, cancelled=key.fence))

    async def attempts(self) -> list[AttemptRecord]:
        """All attempts that are not forgotten, oldest job first."""
        rows = await self._all(
            "SELECT job, fence, organisation, slot, run, phase, stop, cursor_start, cursor_lines, checkpoint, result,"
            " traceparent FROM attempts ORDER BY job, fence"
        )
        return [_record(row) for row in rows]

    async def set_phase(self, key: AttemptKey, phase: AttemptPhase) -> None:
        await self._set(key, "phase = ?", phase)

    async def set_stop(self, key: AttemptKey, cause: StopCause) -> None:
        """The first cause stays."""
        await self._set(key, "stop = coalesce(stop, ?)", cause)

    async def set_cursor(self, key: AttemptKey, cursor: Cursor) -> None:
        await self._set(key, "cursor_start = ?, cursor_lines = ?", cursor.start, cursor.lines)

    async def set_checkpoint(self, key: AttemptKey, checkpoint: ObjectRef) -> None:
        await self._set(key, "checkpoint = ?", _REF.dump_json(checkpoint).decode())

    async def set_result(self, key: AttemptKey, result: WorkerResult) -> None:
        """The attempt has ended; its result is sent until it is confirmed."""
        await self._set(key, "phase = 'ended', result = ?", result.model_dump_json())

    async def forget(self, key: AttemptKey) -> None:
        """Its result is durable elsewhere."""
        await self._do(lambda database: database.execute("DELETE FROM attempts WHERE job = ? AND fence = ?", key))

    async def refusals(self) -> list[tuple[str, int, str, int]]:
        """(job, fence, why, how often) of refused runs."""
        return [
            tuple(row) for row in await self._all("SELECT job, fence, why, count FROM refusals ORDER BY job, fence")
        ]

    async def prune(self, now: datetime) -> None:
        """Forgets the fences and refusals of jobs that were last seen long ago."""
        limit = format_time(now - KEPT)

        def work(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM jobs WHERE seen_at < ? AND job NOT IN (SELECT job FROM attempts)", (limit,))
            database.execute("DELETE FROM refusals WHERE last_at < ?", (limit,))

        await self._do(work)

    async def _set(self, key: AttemptKey, what: str, *values: Any) -> None:
        statement = f"UPDATE attempts SET {what} WHERE job = ? AND fence = ?"
        await self._do(lambda database: database.execute(statement, (*values, *key)))

    async def _all(self, statement: str, *values: Any) -> list[Any]:
        return await self._do(lambda database: database.execute(statement, values).fetchall())

    async def _do(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Runs work in a transaction, on disk when it returns. What is asked for while one is under way shares the
        next: one sync is as long for many as for one. Whoever fails fails alone."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="worker-state")
        answer: Answer = await done
        return answer

    async def _write(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting, []
                try:
                    answers = await self._in_thread(partial(self._transaction, [work for work, _ in together]))
                except Exception as error:
                    answers = [error] * len(together)
                for (_, done), answer in zip(together, answers, strict=True):
                    _settle(done, answer)
        finally:
            self._writing = None

    def _transaction(self, works: list[Work], *, apart: bool = False) -> list[Any]:
        """The answer of each work, or its exception. Raises where the transaction itself fails. `apart`: what one has
        done is undone where it fails; else, which is quicker, all is undone, and done again apart."""
        if self._database is None:
            raise RuntimeError("the worker's state is not open")
        answers: list[Any] = []
        self._database.execute("BEGIN IMMEDIATE")
        try:
            try:
                for work in works:
                    answers.append(_apart(self._database, work) if apart else work(self._database))
            except Exception:
                if apart:
                    raise
            else:
                self._database.execute("COMMIT")
                return answers
        finally:
            if self._database.in_transaction:  # a full disk may have ended it
                self._database.execute("ROLLBACK")
        return self._transaction(works, apart=True)

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _settle(done: "asyncio.Future[Any]", answer: Any) -> None:
    if done.done():
        return
    if isinstance(answer, Exception):
        done.set_exception(answer)
    else:
        done.set_result(answer)


def _apart(database: sqlite3.Connection, work: Work) -> Any:
    """The answer of a work, or its exception, which leaves nothing behind."""
    database.execute("SAVEPOINT one")
    try:
        answer = work(database)
    except Exception as error:
        database.execute("ROLLBACK TO one")
        answer = error
    database.execute("RELEASE one")
    return answer


def _see(database: sqlite3.Connection, job: str, now: datetime, *, highest: int = 0, cancelled: int = 0) -> None:
    database.execute(
        "INSERT INTO jobs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET highest = max(highest, excluded.highest),"
        " cancelled = max(cancelled, excluded.cancelled), seen_at = excluded.seen_at",
        (job, highest, cancelled, format_time(now)),
    )


def _record(row: tuple[Any, ...]) -> AttemptRecord:
    job, fence, organisation, slot, run, phase, stop, start, lines, checkpoint, result, traceparent = row
    return AttemptRecord(
        key=AttemptKey(job, fence),
        organisation=organisation,
        slots=tuple(slot.split()),
        run=WorkerRun.model_validate_json(run),
        phase=phase,
        stop=stop,
        cursor=None if start is None else Cursor(start, lines),
        checkpoint=None if checkpoint is None else _REF.validate_json(checkpoint),
        result=None if result is None else WorkerResult.model_validate_json(result),
        traceparent=traceparent,
    )
