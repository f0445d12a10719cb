"""A message of the embedded bus, and how it is kept in the file."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

COLUMNS = "seq, queue, routing_key, message_id, headers, body, expires_at, redelivered, due"


@dataclass(slots=True)
class Message:
    """`seq` orders a queue; `durable` messages are also rows of the file; `expires_at` is Unix time in seconds."""

    seq: int
    queue: str
    routing_key: str
    message_id: str
    headers: dict[str, str]
    body: bytes
    durable: bool
    expires_at: float | None = None
    redelivered: bool = False
    due: float | None = None

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def write(connection: sqlite3.Connection, messages: Iterable[Message]) -> None:
    """Inserts messages, or replaces them under the same `seq`."""
    connection.executemany(
        f"INSERT OR REPLACE INTO message ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                m.seq,
                m.queue,
                m.routing_key,
                m.message_id,
                json.dumps(m.headers) if m.headers else "{}",
                m.body,
                m.expires_at,
                m.redelivered,
                m.due,
            )
            for m in messages
        ],
    )


def read_ready(connection: sqlite3.Connection, queue: str, after: int, limit: int) -> list[Message]:
    """The next messages of a queue, and marks them as delivered: after a crash they come again as redelivered."""
    row = connection.execute("SELECT delivered FROM queue WHERE name = ?", (queue,)).fetchone()
    if row is None:
        return []
    delivered = row[0]
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM message WHERE queue = ? AND due IS NULL AND seq > ? ORDER BY seq LIMIT ?",
        (queue, after, limit),
    ).fetchall()
    if rows:
        mark_delivered(connection, {queue: rows[-1][0]})
    return [
        Message(
            seq=seq, queue=name, routing_key=routing_key, message_id=message_id, headers=json.loads(headers),
            body=body, durable=True, expires_at=expires_at, redelivered=bool(redelivered) or seq <= delivered,
        )
        for seq, name, routing_key, message_id, headers, body, expires_at, redelivered, _ in rows
    ]  # fmt: skip


def mark_delivered(connection: sqlite3.Connection, upto: dict[str, int]) -> None:
    """Remembers per queue the highest `seq` that was put into a consumer's reach."""
    connection.executemany(
        "UPDATE queue SET delivered = max(delivered, ?) WHERE name = ?", [(seq, name) for name, seq in upto.items()]
    )


def remove(connection: sqlite3.Connection, sequence: Iterable[int]) -> None:
    connection.executemany("DELETE FROM message WHERE seq = ?", [(seq,) for seq in sequence])


def make_due(connection: sqlite3.Connection, moves: Iterable[tuple[int, int, float | None]]) -> None:
    """Puts delayed messages (old seq, new seq, new expiry) at the end of their queues."""
    connection.executemany(
        "UPDATE message SET seq = ?, expires_at = ?, due = NULL WHERE seq = ?",
        [(new, expires_at, old) for old, new, expires_at in moves],
    )
