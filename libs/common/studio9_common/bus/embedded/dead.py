"""Dead letters in the embedded bus's file."""

import json
import sqlite3
from dataclasses import dataclass

from studio9_common.bus.embedded.message import Message, remove, write
from studio9_common.bus.headers import REASON_LIMIT, visible
from studio9_common.bus.port import DeadLetter
from studio9_common.ids import created_at


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A dead letter with all its headers."""

    queue: str
    routing_key: str
    message_id: str
    headers: dict[str, str]
    body: bytes


def bury(connection: sqlite3.Connection, message: Message, reason: str, identifier: str) -> None:
    connection.execute(
        "INSERT INTO dead (id, queue, reason, routing_key, message_id, headers, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            identifier,
            message.queue,
            reason[:REASON_LIMIT],
            message.routing_key,
            message.message_id,
            json.dumps(message.headers),
            message.body,
        ),
    )
    remove(connection, [message.seq])


def list_dead(connection: sqlite3.Connection, limit: int) -> list[DeadLetter]:
    rows = connection.execute(
        "SELECT id, queue, reason, routing_key, message_id, body, headers FROM dead ORDER BY id LIMIT ?", (limit,)
    )
    return [
        DeadLetter(
            identifier, queue, reason, key, message_id, body, visible(json.loads(headers)), created_at(identifier)
        )
        for identifier, queue, reason, key, message_id, body, headers in rows
    ]


def read_dead(connection: sqlite3.Connection, identifier: str) -> DeadRow | None:
    row = connection.execute(
        "SELECT queue, routing_key, message_id, headers, body FROM dead WHERE id = ?", (identifier,)
    ).fetchone()
    return None if row is None else DeadRow(row[0], row[1], row[2], json.loads(row[3]), row[4])


def replace_by(connection: sqlite3.Connection, identifier: str, message: Message) -> bool:
    """Puts a message into its queue in place of the dead letter; False if that is gone."""
    if not drop(connection, identifier):
        return False
    write(connection, [message])
    return True


def drop(connection: sqlite3.Connection, identifier: str) -> bool:
    return connection.execute("DELETE FROM dead WHERE id = ?", (identifier,)).rowcount > 0
