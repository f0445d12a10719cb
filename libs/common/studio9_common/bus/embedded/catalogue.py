"""The queues in the embedded bus's file, and what a restart needs to know."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from studio9_common.bus.port import Queue


@dataclass(frozen=True, slots=True)
class Restored:
    """`highest`: the last seq given; `delayed`: (due, seq, queue) of durable messages on the ladder."""

    queues: list[Queue]
    highest: int
    delayed: list[tuple[float, int, str]]
    expiring: bool


def restore(connection: sqlite3.Connection) -> Restored:
    connection.execute("DELETE FROM message WHERE queue NOT IN (SELECT name FROM queue)")
    specs = [json.loads(spec) for (spec,) in connection.execute("SELECT spec FROM queue")]
    highest = connection.execute(
        "SELECT max(coalesce((SELECT max(seq) FROM message), 0), coalesce((SELECT max(delivered) FROM queue), 0))"
    ).fetchone()[0]
    expiring = connection.execute("SELECT 1 FROM message WHERE expires_at IS NOT NULL LIMIT 1").fetchone()
    return Restored(
        queues=[Queue(**{**spec, "bindings": tuple(spec["bindings"])}) for spec in specs],
        highest=highest,
        delayed=connection.execute("SELECT due, seq, queue FROM message WHERE due IS NOT NULL").fetchall(),
        expiring=expiring is not None,
    )


def save(connection: sqlite3.Connection, queues: Sequence[Queue]) -> None:
    connection.executemany(
        "INSERT INTO queue (name, spec) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET spec = excluded.spec",
        [(queue.name, _text(queue)) for queue in queues],
    )


def _text(queue: Queue) -> str:
    spec = asdict(queue)
    del spec["former"]  # they have been taken away
    return json.dumps(spec)


def delete(connection: sqlite3.Connection, queue: str) -> None:
    connection.execute("DELETE FROM queue WHERE name = ?", (queue,))
    connection.execute("DELETE FROM message WHERE queue = ?", (queue,))
