"""A TCP relay in front of a server, which a test can take away from everybody and give back."""

import asyncio
import socket
import threading
from contextlib import suppress


class Relay:
    """Listens on a loopback port in a thread of its own. Used with a block, at whose end it is gone."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._away = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._done: asyncio.Event = asyncio.Event()

    def __enter__(self) -> "Relay":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Ends all connections; new ones end at once."""
        self._away = True
        self._loop.call_soon_threadsafe(self._abort)

    def restore(self) -> None:
        """As before."""
        self._away = False

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._relay, sock=self._socket)
        await self._done.wait()
        server.close()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._away:
            writer.transport.abort()
            return
        back, forth = await asyncio.open_connection(*self._target)
        both = {writer, forth}
        self._writers |= both
        try:
            await asyncio.gather(self._copy(reader, forth), self._copy(back, writer))
        finally:
            self._writers -= both
            for one in both:
                one.close()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        sink.close()
