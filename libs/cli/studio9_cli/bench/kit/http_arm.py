"""A small HTTP/1.1 client for measuring: it takes little of the processor that the server needs."""

import asyncio
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Connection:
    """One kept-alive connection; an asynchronous context manager."""

    def __init__(self, address: str, token: str = "") -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._head = f"Host: {self._host}:{self._port}\r\n"
        if token:
            self._head += f"Authorization: Bearer {token}\r\n"

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 24)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def send(self, method: str, target: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        """The body of a successful answer. Raises RuntimeError for any other."""
        head = f"{method} {target} HTTP/1.1\r\n{self._head}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(answer.split(" ", 2)[1])
        if "transfer-encoding: chunked" in answer:
            content = await self._chunks()
        else:
            length = answer.partition("content-length: ")[2].partition("\r\n")[0]
            content = await self._reader.readexactly(int(length or 0))
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {target}: {status} {content[:300].decode(errors='replace')}")
        return content

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(parts)


async def rate(address: str, token: str, target: str, seconds: float, connections: int) -> float:
    """Answers a second to GETs on so many connections at once."""
    done = 0

    async def one() -> None:
        nonlocal done
        async with Connection(address, token) as connection:
            while time.perf_counter() < end:
                await connection.send("GET", target)
                done += 1

    begun = time.perf_counter()
    end = begun + seconds
    await asyncio.gather(*(one() for _ in range(connections)))
    return done / (time.perf_counter() - begun)
