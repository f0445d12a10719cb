"""An event loop in virtual time: nothing waits, nothing depends on the machine, equal input gives equal order.

Each callback belongs to a node (a process of the simulated installation) or to the world itself. A dead node's
callbacks never run, a paused node's run when it wakes up, in their order.
"""

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

Context = contextvars.Context
Step = tuple[Callable[..., object], tuple[Any, ...], Context | None, "Node | None"]
"""What is called without fail, as nobody can take it back; the world's own has neither context nor node."""


@dataclass(eq=False, slots=True)
class Node:
    """A process: alive, paused or dead. `tasks` keeps what it began, so that nothing is collected in mid-run."""

    name: str
    dead: bool = False
    paused: bool = False
    held: list["Handle | Step"] = field(default_factory=list)
    tasks: list["asyncio.Task[Any]"] = field(default_factory=list)


NODE: contextvars.ContextVar[Node | None] = contextvars.ContextVar("node", default=None)


class Handle:
    """What asyncio asks of a handle, and no more."""

    __slots__ = ("_args", "_callback", "_cancelled", "_context", "_when", "node")

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: Context,
        node: Node | None,
        when: float,
    ) -> None:
        self._callback, self._args, self._context, self.node, self._when = callback, args, context, node, when
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when


class VirtualLoop:
    """See the module's docstring. `now` is seconds since the run began. It offers what tasks, futures, sleeps and
    time-outs ask of a loop, and nothing else of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self.errors: list[str] = []
        self.closing = False
        self._ready: deque[Handle | Step] = deque()
        self._timers: list[tuple[float, int, Handle | Step]] = []
        self._count = 0
        self.create_future: Callable[[], asyncio.Future[Any]] = partial(asyncio.Future, loop=cast(Any, self))

    # --- running ---------------------------------------------------------------------------------------------------

    def run_to(self, end: float) -> None:
        """Runs whatever is due until the end."""
        itself: Any = self
        steps = 0
        asyncio._set_running_loop(itself)
        try:
            ready, timers, popleft, heappop = self._ready, self._timers, self._ready.popleft, heapq.heappop
            while True:
                if ready:
                    due = popleft()
                elif timers and timers[0][0] <= end:
                    self.now, _, due = heappop(timers)
                else:
                    break
                if type(due) is tuple:
                    callback, args, context, node = due
                else:
                    handle = cast(Handle, due)
                    if handle._cancelled:
                        continue
                    callback, args, context, node = handle._callback, handle._args, handle._context, handle.node
                if context is None:
                    steps += 1
                    callback(*args)
                    continue
                if node is not None:
                    if node.dead:
                        continue
                    if node.paused:
                        node.held.append(due)
                        continue
                steps += 1
                context.run(callback, *args)
            self.now = max(self.now, end)
        finally:
            self.steps += steps
            asyncio._set_running_loop(None)

    def wake(self, node: Node) -> None:
        """A paused node goes on with what has waited for it."""
        node.paused = False
        self._ready.extend(node.held)
        node.held.clear()

    def clear(self) -> None:
        """Forgets all that was still to come."""
        self._ready.clear()
        self._timers.clear()

    def spawn(self, node: Node | None, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Begins a task of a node from outside."""
        context = contextvars.copy_context()
        context.run(NODE.set, node)
        task: asyncio.Task[Any] = self.create_task(coroutine, context=context)
        return task

    def after(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """The world itself acts later: no node, no context."""
        self._count += 1
        heapq.heappush(self._timers, (self.now + delay, self._count, (callback, args, None, None)))

    # --- what asyncio asks for -------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        if self.closing:
            return None
        if context is not None:
            self._ready.append((callback, args, context, context.get(NODE)))
            return None
        context = contextvars.copy_context()
        handle = Handle(callback, args, context, context.get(NODE), self.now)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:
        context = context if context is not None else contextvars.copy_context()
        handle = Handle(callback, args, context, context.get(NODE), when)
        self._count += 1
        heapq.heappush(self._timers, (max(when, self.now), self._count, handle))
        return handle

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> Any:
        itself: Any = self
        task: Any = asyncio.Task(coro, loop=itself, name=name or "", context=context)
        task._log_destroy_pending = False  # a crash leaves tasks behind
        node = (context or contextvars.copy_context()).get(NODE)
        if node is not None:
            node.tasks.append(task)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Threads are not simulated: the work is done at once."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.closing:
            self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    get_debug = staticmethod(bool)
    """False, as quickly as can be: every future asks."""

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False
