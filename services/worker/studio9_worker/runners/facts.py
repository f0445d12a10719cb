"""How a container's task ended, from the engine's facts and the shim's own words. Pure.

The engine's facts stand above the words: an image that nobody trusts brings the interpreter that says them.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from studio9_task.contained import RECORD
from studio9_task.exits import Ending, ExitRecord
from studio9_worker.runners.engine import Container

KILLED = 137
"""The exit code of a first process that was killed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the agent itself killed a container."""

    ending: Ending
    detail: str


def exit_record(
    container: Container, output: str, verdict: Verdict | None, *, stop_asked: bool, own_image: bool
) -> ExitRecord | None:
    """The record of a container that has ended; None where nobody knows why it was killed.

    `own_image`: it came with the job, so that a shim that does not begin is its fault.
    """
    told = None if verdict is not None else _told(output)
    if told is not None:
        changes: dict[str, object] = {}
        if told.ending == "stopped" and not stop_asked:
            changes["ending"] = "exited"
        if container.out_of_memory:
            changes["out_of_memory"] = True
        return told.model_copy(update=changes)
    killed = container.exit_code == KILLED or container.out_of_memory or verdict is not None
    ending: Ending
    if verdict is not None:
        ending, detail = verdict.ending, verdict.detail
    elif container.out_of_memory:
        ending, detail = "exited", "its first process was killed for memory"
    elif killed and not stop_asked:
        return None
    elif killed:
        ending, detail = "stopped", "it did not end when it was told to"
    else:
        ending = "bad_image" if own_image else "start_failed"
        detail = container.error or _last_words(output) or f"exit code {container.exit_code}"
    started, ended = _moment(container.started), _moment(container.ended)
    return ExitRecord(
        ending=ending,
        exit_code=None if killed else container.exit_code,
        signal=9 if killed else None,
        started=_text(started),
        ended=_text(ended),
        duration_s=max(0.0, (ended - started).total_seconds()),
        out_of_memory=container.out_of_memory,
        detail=detail,
    )


def _told(output: str) -> ExitRecord | None:
    for line in reversed(output.splitlines()):
        if line.startswith(RECORD):
            try:
                return ExitRecord.model_validate(json.loads(line.removeprefix(RECORD)))
            except (ValueError, ValidationError):
                return None
    return None


def _last_words(output: str) -> str:
    return " / ".join(line.strip() for line in output.splitlines()[-3:] if line.strip())[-500:]


def _moment(text: str) -> datetime:
    """A time of the engine's: RFC 3339 with nanoseconds, or without a fraction."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}").replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
