"""A small TCP proxy in front of a server that can lose what it answers."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards connections to host:port. `lose_answers` > 0: so many answers to requests that hold `needle` are
    dropped and their connection is cut, after the server has done its work; `hold_s` delays answers instead.
    `refuse`: such requests never reach the server."""

    def __init__(self, host: str, port: int, needle: bytes) -> None:
        self._host, self._port, self._needle = host, port, needle
        self.lose_answers = 0
        self.hold_s = 0.0
        self.refuse = False
        self.lost = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        doomed = asyncio.Event()
        back = asyncio.create_task(self._back(reader, answer, doomed))
        try:
            while data := await client.read(65536):
                if self._needle in data:
                    if self.refuse:
                        break
                    if self.lose_answers > 0:
                        self.lose_answers -= 1
                        doomed.set()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            if not doomed.is_set():
                back.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await back
            writer.close()
            answer.close()

    async def _back(self, reader: asyncio.StreamReader, answer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while data := await reader.read(65536):
            if doomed.is_set():
                self.lost += 1
                await asyncio.sleep(self.hold_s)
                break
            answer.write(data)
            await answer.drain()
        answer.close()
