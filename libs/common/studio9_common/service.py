"""What a service is: something composed from settings that starts, serves and stops. Nothing in it is global."""

import asyncio
import contextlib
import signal
from typing import Protocol

import uvicorn
from fastapi import FastAPI

from studio9_common.logs import logger


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
    """Uvicorn in the running loop, without its own signal handling; `port` 0 takes a free one."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        self._config = uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, lifespan="on")
        self._server = uvicorn.Server(self._config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined,unused-ignore]
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Returns the port once connections are accepted. Raises OSError if the address is taken."""
        self._task = asyncio.create_task(self._serve(), name="http-server")
        while not self._server.started:
            if self._task.done():
                raise OSError(f"cannot listen on {self._config.host}:{self._config.port}; is it in use?")
            await asyncio.sleep(0.01)
        socket = self._server.servers[0].sockets[0]
        return int(socket.getsockname()[1])

    async def _serve(self) -> None:
        with contextlib.suppress(SystemExit):
            await self._server._serve()

    async def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=5)


async def run_service(service: Service, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT, then stops cleanly."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    server = HttpServer(service.asgi, host, port)
    bound = await server.start()
    logger(service.name).info("listening", host=host, port=bound)
    await service.start()
    try:
        await stopped.wait()
    finally:
        await service.stop()
        await server.stop()
