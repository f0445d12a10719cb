"""What a service is: something composed from settings that starts, serves and stops. Nothing in it is global."""

import asyncio
import gc
import importlib
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

import uvicorn
from fastapi import FastAPI

from studio9_common.errors import Studio9Error
from studio9_common.http.operating import metrics_app
from studio9_common.logs import logger
from studio9_common.tasks import end

Result = TypeVar("Result")

COLLECTING = (20_000, 20, 20)
"""Python's thresholds of garbage collection, by generation."""


class Service(Protocol):
    """Made by the `build` function of each service's `app` module from settings, ports and clients.

    In one process the parts are shared; otherwise `python -m studio9_<service>` opens them from the settings.
    """

    name: str
    asgi: FastAPI

    async def start(self) -> None:
        """Declares its queues, prepares its stores and begins to work. Waits with back-off for what is down."""
        ...

    async def stop(self) -> None:
        """Finishes or gives back what is in hand, within 10 seconds."""
        ...


class HttpServer:
    """Uvicorn in the running loop, without its own signal handling. The port is taken before anything is served, so
    that an app can be built that knows its own address."""

    def __init__(self, host: str, port: int) -> None:
        """Takes the port; 0 takes a free one. Raises OSError if it is in use."""
        self._socket = socket.create_server((host, port), reuse_port=False)
        self._socket.setblocking(False)
        # asyncio sets it only on sockets that name their protocol; without it an answer's body waits 40 ms for the
        # delayed acknowledgement of its head. Accepted connections inherit it.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host = host
        self.port = int(self._socket.getsockname()[1])
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, app: FastAPI) -> None:
        """Returns once connections are accepted."""
        # Whom to believe what it forwards is the app's to say: uvicorn would ask the environment.
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=3, proxy_headers=False
        )
        server = self._server = uvicorn.Server(config)
        # What uvicorn.Server.serve does besides is to handle signals, which is the program's business.
        self._task = asyncio.create_task(server._serve(sockets=[self._socket]), name="http-server")
        while not server.started:
            if self._task.done():
                raise OSError(f"cannot serve on {self.host}:{self.port}")
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Lets running requests end within 3 seconds; streams of events are cut."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await asyncio.wait([self._task], timeout=5)
        self._socket.close()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Makes the event loops of programs that serve: uvloop's, which needs a fifth less of the time than Python's own.
    None, which means the latter, where it is not installed: there is none for Windows."""
    try:
        made: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return made


def run(program: Coroutine[Any, Any, Result], service: str) -> Result:
    """Runs the program of a service to its end, as `asyncio.run` does, on a loop of `loop_factory`. A setting that
    cannot be used, or another error of ours, ends the process with one line that says what to do, and status 1."""
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(program)
    except Studio9Error as error:
        sys.exit(f"studio9_{service}: {error.line}")


def collect_rarely() -> None:
    """For a process that serves: what is there at its start is not looked through again, and the rest less often. A
    batch of messages makes thousands of objects, none of them in a cycle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTING)


async def run_service(service: Service, host: str, port: int, *, metrics_port: int | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then stops cleanly; also while it still waits for what it depends on.
    `metrics_port`: a second port, which serves `/metrics` alone."""
    collect_rarely()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = HttpServer(host, port)
    inside = HttpServer(host, metrics_port) if metrics_port is not None else None
    await server.start(service.asgi)
    if inside is not None:
        await inside.start(metrics_app(service.asgi.state.metrics))
    logger(service.name).info("listening", host=host, port=server.port)
    starting = asyncio.create_task(service.start(), name=f"{service.name}-start")
    waiting = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await waiting
    finally:
        await end(starting, waiting)
        await service.stop()
        await server.stop()
        if inside is not None:
            await inside.stop()
