"""The embedded queues and topics in one SQLite file. Blocking: every method is called from a thread.

Times are Unix seconds given by the caller. A message is visible when `visible_at` has passed; taking it sets a new
receipt and a later `visible_at`, so that only the newest receipt can delete or extend it.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from studio9_common.ids import new_id
from studio9_common.streams.port import StreamMessage, StreamMissing, StreamsUnavailable

DEAD = "-dead"
"""Ending of the queue that holds what was received too often."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, visibility_s INTEGER NOT NULL, max_receives INTEGER);
CREATE TABLE IF NOT EXISTS topics (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS subscriptions (
    topic TEXT NOT NULL REFERENCES topics, queue TEXT NOT NULL REFERENCES queues, PRIMARY KEY (topic, queue)
);
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    queue TEXT NOT NULL REFERENCES queues,
    body TEXT NOT NULL,
    attributes TEXT NOT NULL,
    visible_at REAL NOT NULL,
    receipt TEXT,
    receive_count INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS messages_visible ON messages (queue, visible_at);
CREATE INDEX IF NOT EXISTS messages_receipt ON messages (receipt) WHERE receipt IS NOT NULL;
CREATE TABLE IF NOT EXISTS sent_once (queue TEXT NOT NULL, mark TEXT NOT NULL, PRIMARY KEY (queue, mark)) WITHOUT ROWID;
"""


class StreamStore:
    """Several processes may open the same file."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StreamsUnavailable(f"the queues in {path} cannot be opened: {error}") from error

    def ensure_queue(self, queue: str, visibility_s: int, max_receives: int | None) -> None:
        names = [(queue, visibility_s, max_receives)]
        if max_receives is not None:
            names.append((queue + DEAD, visibility_s, None))
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO queues VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET visibility_s = excluded.visibility_s, max_receives = excluded.max_receives",
                names,
            )

    def ensure_topic(self, topic: str) -> None:
        with self._transaction() as db:
            db.execute("INSERT INTO topics VALUES (?) ON CONFLICT DO NOTHING", (topic,))

    def subscribe(self, topic: str, queue: str) -> None:
        with self._transaction() as db:
            _check_topic(db, topic)
            _visibility(db, queue)
            db.execute("INSERT INTO subscriptions VALUES (?, ?) ON CONFLICT DO NOTHING", (topic, queue))

    def send(
        self, queue: str, body: str, attributes: Mapping[str, str], now: float, mark: str | None = None
    ) -> str | None:
        """The message's id. With a `mark`, None if this mark was sent to this queue before."""
        with self._transaction() as db:
            _visibility(db, queue)
            if mark is not None:
                done = db.execute("INSERT INTO sent_once VALUES (?, ?) ON CONFLICT DO NOTHING", (queue, mark))
                if not done.rowcount:
                    return None
            return _insert(db, [queue], body, attributes, now)

    def publish(self, topic: str, body: str, attributes: Mapping[str, str], now: float) -> tuple[str, list[str]]:
        """The message's id and the queues that got it."""
        with self._transaction() as db:
            _check_topic(db, topic)
            rows = db.execute("SELECT queue FROM subscriptions WHERE topic = ?", (topic,))
            queues = [name for (name,) in rows]
            return _insert(db, queues, body, attributes, now), queues

    def receive(self, queue: str, limit: int, visibility_s: int | None, now: float) -> list[StreamMessage]:
        """Takes visible messages, oldest first; those received too often move to the dead queue instead."""
        with self._transaction() as db:
            visibility, max_receives = _visibility(db, queue)
            if max_receives is not None:
                db.execute(
                    "UPDATE messages SET queue = ?, receipt = NULL"
                    " WHERE queue = ? AND visible_at <= ? AND receive_count >= ?",
                    (queue + DEAD, queue, now, max_receives),
                )
            rows = db.execute(
                "SELECT number, id, body, attributes, receive_count FROM messages"
                " WHERE queue = ? AND visible_at <= ? ORDER BY number LIMIT ?",
                (queue, now, limit),
            ).fetchall()
            until = now + (visibility if visibility_s is None else visibility_s)
            taken = []
            for number, identifier, body, attributes, count in rows:
                receipt = new_id()
                db.execute(
                    "UPDATE messages SET receipt = ?, visible_at = ?, receive_count = ? WHERE number = ?",
                    (receipt, until, count + 1, number),
                )
                taken.append(StreamMessage(identifier, body, receipt, count + 1, json.loads(attributes)))
        return taken

    def next_visible(self, queue: str) -> float | None:
        """When the next message of a queue becomes visible."""
        with self._open() as db:
            row = db.execute("SELECT min(visible_at) FROM messages WHERE queue = ?", (queue,)).fetchone()
        found: float | None = row[0]
        return found

    def extend(self, queue: str, receipt: str, until: float) -> None:
        with self._transaction() as db:
            _visibility(db, queue)
            db.execute("UPDATE messages SET visible_at = ? WHERE queue = ? AND receipt = ?", (until, queue, receipt))

    def delete(self, queue: str, receipts: Sequence[str]) -> None:
        with self._transaction() as db:
            _visibility(db, queue)
            values = [(queue, receipt) for receipt in receipts]
            db.executemany("DELETE FROM messages WHERE queue = ? AND receipt = ?", values)

    def depth(self, queue: str) -> int:
        with self._open() as db:
            _visibility(db, queue)
            count: int = db.execute("SELECT count(*) FROM messages WHERE queue = ?", (queue,)).fetchone()[0]
        return count

    def ping(self) -> None:
        with self._open() as db:
            db.execute("SELECT 1 FROM queues LIMIT 1").fetchone()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise StreamsUnavailable(f"the embedded queues cannot be used: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")


def _visibility(db: sqlite3.Connection, queue: str) -> tuple[int, int | None]:
    row = db.execute("SELECT visibility_s, max_receives FROM queues WHERE name = ?", (queue,)).fetchone()
    if row is None:
        raise StreamMissing(f"there is no queue named {queue}", field="queue", value=queue)
    return row[0], row[1]


def _check_topic(db: sqlite3.Connection, topic: str) -> None:
    if db.execute("SELECT 1 FROM topics WHERE name = ?", (topic,)).fetchone() is None:
        raise StreamMissing(f"there is no topic named {topic}", field="topic", value=topic)


def _insert(db: sqlite3.Connection, queues: Sequence[str], body: str, attributes: Mapping[str, str], now: float) -> str:
    identifier = new_id()
    values = [(identifier, queue, body, json.dumps(dict(attributes)), now) for queue in queues]
    db.executemany("INSERT INTO messages (id, queue, body, attributes, visible_at) VALUES (?, ?, ?, ?, ?)", values)
    return identifier
