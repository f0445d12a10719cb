"""The one writer of the SQLite store: a thread that commits together whatever arrived while it was syncing."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from studio9_common.documents.embedded.store import Store
from studio9_common.documents.port import DocumentsUnavailable
from studio9_common.errors import Studio9Error

Result = TypeVar("Result")
MAX_TOGETHER = 512
"""Operations of one transaction."""


@dataclass(slots=True)
class _Task:
    apply: Callable[[Store], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        """In the loop's thread: answers whoever still waits."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class Writer:
    """Applies operations in transactions on its own thread. An operation either returns or raises a Studio9Error
    before it changed anything."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="documents-writer", daemon=True)
        self._opened = threading.Event()
        self._failure: Exception | None = None
        self._closed = False
        self.transactions = 0
        """Transactions committed so far."""

    def open(self) -> None:
        """Opens the file (blocking). Raises DocumentsUnavailable."""
        self._thread.start()
        self._opened.wait()
        if self._failure is not None:
            raise DocumentsUnavailable(
                f"{self._path} cannot be opened: {self._failure}", fix="check the folder and its free space"
            ) from self._failure

    async def submit(self, apply: Callable[[Store], Result]) -> Result:
        """The operation's result, once its transaction is synced to disk."""
        if self._closed:
            raise DocumentsUnavailable("the document store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.put(_Task(apply, loop, future))
        return await future

    def close(self) -> None:
        """Finishes what was submitted, then closes the file (blocking)."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        try:
            store = Store.open(self._path)
        except (sqlite3.Error, Studio9Error) as error:
            self._failure = error
            return
        finally:
            self._opened.set()
        with contextlib.closing(store):
            while (batch := self._take()) is not None:
                self._commit(store, batch)
                _answer(batch)

    def _take(self) -> list[_Task] | None:
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        with contextlib.suppress(queue.Empty):
            while len(batch) < MAX_TOGETHER:
                task = self._queue.get_nowait()
                if task is None:
                    self._queue.put(None)
                    break
                batch.append(task)
        return batch

    def _commit(self, store: Store, batch: list[_Task]) -> None:
        try:
            with store.transaction():
                for task in batch:
                    task.result, task.error = None, None
                    try:
                        task.result = task.apply(store)
                    except Studio9Error as error:
                        task.error = error
            self.transactions += 1
        except Exception as error:
            if len(batch) > 1:  # one operation that cannot be done must not take its neighbours with it
                for task in batch:
                    self._commit(store, [task])
                return
            batch[0].error = DocumentsUnavailable(f"the document store could not write: {error}")
            batch[0].error.__cause__ = error


def _answer(batch: list[_Task]) -> None:
    """Wakes each event loop once for all its tasks. A loop that has closed has nobody waiting."""
    loops: dict[asyncio.AbstractEventLoop, list[_Task]] = {}
    for task in batch:
        loops.setdefault(task.loop, []).append(task)
    for loop, tasks in loops.items():
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, tasks)


def _settle(tasks: list[_Task]) -> None:
    for task in tasks:
        task.settle()
