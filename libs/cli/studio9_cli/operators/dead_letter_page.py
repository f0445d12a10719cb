"""`studio9 dead-letters`: the list, and one message with why it was given up."""

import json
from typing import Any

from studio9_cli.operators.text import age, clock, fields, size, table


def dead_letter_list(found: dict[str, Any]) -> str:
    """One line per message, the oldest first."""
    rows = [
        (one["id"], one["queue"], one.get("type"), one.get("job"), age(one.get("died_at")), one["reason"][:100])
        for one in found["items"]
    ]
    if not rows:
        return "no dead letters"
    text = table(("ID", "QUEUE", "TYPE", "JOB", "AGE", "REASON"), rows)
    left = found["total"] - len(rows)
    return f"{text}\n{left} more; --limit shows more of them" if left else text


def dead_letter_page(letter: dict[str, Any]) -> str:
    """One message with its body."""
    pairs = [
        ("reason", letter["reason"]),
        ("queue", letter["queue"]),
        ("died", clock(letter.get("died_at"))),
        ("type", letter.get("type")),
        ("organisation", letter.get("organisation")),
        ("job", letter.get("job")),
        ("message id", letter["message_id"]),
        ("routing key", letter["routing_key"]),
        ("size", size(letter["bytes"])),
        ("headers", [f"{name}={value}" for name, value in letter["headers"].items()]),
    ]
    body = letter["body"]
    text = body if isinstance(body, str) else json.dumps(body, indent=2, ensure_ascii=False)
    return f"dead letter {letter['id']}\n{fields(pairs)}\n\nbody\n{text}"
