"""A small SMTP server (RFC 5321) that keeps what it gets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.message import Message
from email.policy import default


class Mailbox:
    """`port` is where it listens; `next` waits for a mail. `answers` are given, one each, to the next mails that were
    sent whole, in place of 250; where one is empty, the server takes the mail and is gone before it says so."""

    def __init__(self) -> None:
        self.port = 0
        self.answers: list[bytes] = []
        self._mails: asyncio.Queue[Message] = asyncio.Queue()
        self._open: set[asyncio.Task[None]] = set()

    async def next(self) -> tuple[str, str]:
        """Recipient and text of the next mail."""
        mail = await self.next_mail()
        return str(mail["To"]), str(mail.get_content())  # type: ignore[attr-defined]  # with this policy it has

    async def next_mail(self) -> Message:
        """The next mail with its headers."""
        async with asyncio.timeout(30):
            return await self._mails.get()

    @property
    def empty(self) -> bool:
        return self._mails.empty()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.create_task(self._talk(reader, writer))
        self._open.add(task)
        await task

    async def quiet(self) -> None:
        """Waits for the connections that are open: none is left to the garbage collector."""
        if self._open:
            await asyncio.wait(self._open, timeout=30)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                body = await reader.readuntil(b"\r\n.\r\n")
                answer = self.answers.pop(0) if self.answers else b"250 taken\r\n"
                if not answer or answer.startswith(b"250"):
                    self._mails.put_nowait(message_from_bytes(body[:-3], policy=default))  # type: ignore[arg-type]
                if not answer:
                    break
                writer.write(answer)
                await writer.drain()
                continue
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            await writer.drain()
            if word == b"QUIT":
                break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def kept_place() -> socket.socket:
    """A port that nobody else gets, where no server answers yet."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


@contextlib.asynccontextmanager
async def mailbox(place: socket.socket | None = None) -> AsyncIterator[Mailbox]:
    """A running server, at a place that was kept for it or at any."""
    made = Mailbox()
    server = await asyncio.start_server(made.serve, sock=place or kept_place())
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.quiet()
