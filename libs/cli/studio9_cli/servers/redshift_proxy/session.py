"""One client's connection: statements rewritten on the way in, loads carried out on the way.

A load runs in the client's own connection and transaction: PostgreSQL gets `COPY … FROM STDIN`, and when it asks for
the rows (CopyInResponse), the proxy sends them in the client's place. To the client it looks like any statement: it
sees a notice and one CommandComplete, or one ErrorResponse. While a load is executed, nothing more of the client is
handed on: PostgreSQL would swallow a Sync that arrives amid the rows.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator

from studio9_cli.servers.redshift_proxy import dialect, loads, source, wire
from studio9_cli.servers.redshift_proxy.wire import Message

# Named so that no client has a statement or portal of this name.
_OWN = b"studio9_copy_count\0"


class Session:
    """Carries messages between one client and its own PostgreSQL connection until either ends."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server
        self._prepared: dict[str, loads.Copy | None] = {}
        self._portals: dict[str, loads.Copy | None] = {}
        self._due: deque[loads.Copy] = deque()
        self._skipping = False
        self._simple = False
        self._refusal = ""
        self._settled = asyncio.Event()

    async def run(self) -> None:
        """Until one side closes its connection."""
        both = [asyncio.create_task(self._client_to_server()), asyncio.create_task(self._server_to_client())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _client_to_server(self) -> None:
        while True:
            message = await wire.read(self._from_client)
            copy, message = self._incoming(message)
            if copy is not None and not self._skipping:
                self._due.append(copy)
                self._settled.clear()
                await _send(self._to_server, message)
                await self._settled.wait()
            else:
                await _send(self._to_server, message)

    def _incoming(self, message: Message) -> tuple[loads.Copy | None, Message]:
        """The message for PostgreSQL, and the load that it executes, if any."""
        if message.kind == b"Q":
            (sql,), _ = message.strings(1)
            copy, sql = self._translate(sql)
            self._simple, self._skipping = True, False
            return copy, wire.query(sql)
        if message.kind == b"P":
            (name, sql), rest = message.strings(2)
            self._prepared[name], sql = self._translate(sql)
            return None, Message(b"P", f"{name}\0{sql}\0".encode() + rest)
        if message.kind == b"B":
            (portal, name), _ = message.strings(2)
            self._portals[portal] = self._prepared.get(name)
        elif message.kind == b"E":
            (portal,), _ = message.strings(1)
            self._simple = False
            return self._portals.get(portal), message
        elif message.kind == b"S":
            self._skipping = False
        return None, message

    def _translate(self, sql: str) -> tuple[loads.Copy | None, str]:
        """The load a statement asks for, if it is one, and the statement for PostgreSQL.

        What Redshift would refuse becomes a statement that PostgreSQL refuses when it parses it, so that the
        connection stays in step; the client sees our reason in place of PostgreSQL's.
        """
        try:
            copy = loads.read(sql)
            return copy, copy.statement() if copy else dialect.rewrite(sql)
        except (loads.BadCopy, dialect.Refused) as error:
            self._refusal = str(error)
            return None, "SELECT 'refused'::integer"

    async def _server_to_client(self) -> None:
        while True:
            message = await wire.read(self._from_server)
            if message.kind == b"G" and self._due:
                await self._load(self._due.popleft())
                continue
            if message.kind == b"E":
                self._skipping = not self._simple
                self._due.clear()
                self._settled.set()
                if self._refusal:
                    message, self._refusal = wire.error(self._refusal, "42601"), ""
            elif message.kind == b"Z":
                self._settled.set()
            elif message.kind == b"S":
                message = wire.parameter_status(message)
            await _send(self._to_client, message)

    async def _load(self, copy: loads.Copy) -> None:
        failure = await self._send_rows(copy)
        outcome = await self._next_outcome()
        if outcome.kind == b"E":
            self._skipping = not self._simple
            await _send(self._to_client, wire.error(failure) if failure else outcome)
        else:
            (tag,), _ = outcome.strings(1)
            count = int(tag.split()[-1])
            after = await self._keep_count(count)
            text = f"Load into table '{copy.table}' completed, {count} record(s) loaded successfully."
            for message in (wire.notice(text), Message(b"C", b"COPY\0"), *after):
                await _send(self._to_client, message)
        self._settled.set()

    async def _send_rows(self, copy: loads.Copy) -> str | None:
        """Sends every row and the end; the reason if the objects could not be read."""
        rows: Iterator[bytes] = source.rows(copy)
        failure = None
        try:
            while chunk := await asyncio.to_thread(next, rows, b""):
                for message in wire.copy_data(chunk):
                    await _send(self._to_server, message)
        except source.LoadFailed as error:
            failure = str(error)
        end = Message(b"f", b"the objects cannot be read\0") if failure else Message(b"c", b"")
        # Without a Flush the answer to an extended query waits for the client's Sync, which waits for this answer.
        await _send(self._to_server, end, *([] if self._simple else [Message(b"H", b"")]))
        return failure

    async def _next_outcome(self) -> Message:
        while (message := await wire.read(self._from_server)).kind not in (b"C", b"E"):
            await _send(self._to_client, message)
        return message

    async def _keep_count(self, count: int) -> list[Message]:
        """Sets what `pg_last_copy_count()` reads; gives what the client has still to see of PostgreSQL's answers."""
        sql = f"SELECT set_config('studio9.last_copy_count', '{count}', false)"
        if self._simple:
            await self._skip(b"Z")
            await _send(self._to_server, wire.query(sql))
            return [(await self._skip(b"Z"))]
        await _send(
            self._to_server,
            Message(b"P", _OWN + sql.encode() + b"\0\0\0"),
            Message(b"B", _OWN + _OWN + bytes(6)),
            Message(b"E", _OWN + bytes(4)),
            Message(b"C", b"P" + _OWN),
            Message(b"C", b"S" + _OWN),
            Message(b"H", b""),
        )
        await self._skip(b"3")
        await self._skip(b"3")
        return []

    async def _skip(self, kind: bytes) -> Message:
        """Reads up to the next message of this kind, and gives that one."""
        while (message := await wire.read(self._from_server)).kind != kind:
            pass
        return message


async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """Serves one accepted connection to its end."""
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        code, first = await wire.read_startup(reader)
        while code in (wire.SSL_REQUEST, wire.GSS_REQUEST):
            writer.write(b"N")
            code, first = await wire.read_startup(reader)
        server = await asyncio.open_connection(host, port)
        try:
            if code == wire.CANCEL_REQUEST:
                await _send(server[1], first)
            else:
                await _send(server[1], wire.startup_for_postgresql(first))
                await Session((reader, writer), server).run()
        finally:
            server[1].close()
    writer.close()


async def _send(writer: asyncio.StreamWriter, *messages: Message) -> None:
    writer.write(b"".join(message.encode() for message in messages))
    await writer.drain()
