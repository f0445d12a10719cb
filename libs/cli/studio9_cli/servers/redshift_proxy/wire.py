"""Messages of the PostgreSQL protocol 3.0, which Redshift speaks too (PostgreSQL manual, "Message Formats").

A message is a kind (one byte), its length without that byte (four bytes, big-endian), and a body. The first message
of a client has no kind.
"""

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102
# What Redshift's driver adds to the start-up message and PostgreSQL would refuse; only these are handed on.
STARTUP_PARAMETERS = frozenset(
    {b"user", b"database", b"options", b"application_name", b"client_encoding", b"datestyle", b"timezone"}
)


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `kind` is empty for a start-up message."""

    kind: bytes
    body: bytes

    def encode(self) -> bytes:
        """The message as it is sent."""
        return self.kind + struct.pack("!I", len(self.body) + 4) + self.body

    def strings(self, count: int) -> tuple[list[str], bytes]:
        """The first `count` zero-ended strings of the body, and the rest."""
        *texts, rest = self.body.split(b"\0", count)
        return [text.decode("utf-8", "replace") for text in texts], rest


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message. Raises `asyncio.IncompleteReadError` at the end of the stream."""
    kind = await reader.readexactly(1)
    return Message(kind, await _body(reader))


async def read_startup(reader: asyncio.StreamReader) -> tuple[int, Message]:
    """A client's first message and its code: a protocol version, or one of the `…_REQUEST` codes above."""
    body = await _body(reader)
    return struct.unpack_from("!I", body)[0], Message(b"", body)


async def _body(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    return await reader.readexactly(length - 4)


def startup_for_postgresql(message: Message) -> Message:
    """The start-up message without what PostgreSQL does not know."""
    words = message.body[4:].split(b"\0")
    pairs = zip(words[0::2], words[1::2], strict=False)
    kept = b"".join(key + b"\0" + value + b"\0" for key, value in pairs if key.lower() in STARTUP_PARAMETERS)
    return Message(b"", message.body[:4] + kept + b"\0")


def parameter_status(message: Message) -> Message:
    """A ParameterStatus as Redshift sends it: the driver cannot parse Debian's `15.18 (Debian …)`."""
    (name, _), _ = message.strings(2)
    return Message(b"S", b"server_version\x008.0.2\0") if name == "server_version" else message


def query(sql: str) -> Message:
    """A simple query."""
    return Message(b"Q", sql.encode() + b"\0")


def error(text: str, code: str = "XX000") -> Message:
    """An ErrorResponse with Redshift's usual code for a failed load, unless another is given."""
    return Message(b"E", _fields(S="ERROR", V="ERROR", C=code, M=text))


def notice(text: str) -> Message:
    """A NoticeResponse of severity INFO."""
    return Message(b"N", _fields(S="INFO", V="INFO", C="00000", M=text))


def copy_data(data: bytes) -> Iterator[Message]:
    """The data as CopyData messages of at most 64 KiB."""
    for start in range(0, len(data), 65536):
        yield Message(b"d", data[start : start + 65536])


def _fields(**fields: str) -> bytes:
    return b"".join(key.encode() + value.encode() + b"\0" for key, value in fields.items()) + b"\0"
