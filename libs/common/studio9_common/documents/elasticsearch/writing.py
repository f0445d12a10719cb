"""Writes as lines of a `_bulk`, and the outcome of each.

Every write stores a random id of its own. Where the answer was lost, or says "conflict", the document is read back:
finding one's own id there means that the write had succeeded.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pydantic_core

from studio9_common.documents.checking import Checker, to_json
from studio9_common.documents.elasticsearch.failures import is_unknown, refusal
from studio9_common.documents.elasticsearch.indexes import KEY, WRITE
from studio9_common.documents.names import check_id
from studio9_common.documents.port import (
    DocumentMissing,
    DocumentsUnavailable,
    MappingConflict,
    VersionConflict,
    Write,
    Written,
)
from studio9_common.errors import BadInput

_ACTIONS = {"create": b"create", "replace": b"index", "put": b"index", "delete": b"delete"}


@dataclass(frozen=True, slots=True)
class Line:
    """One write, ready to be sent. `payload` is the action line and, but for a delete, the document."""

    write: Write
    place: str
    payload: bytes
    write_id: str


class Doubt(Enum):
    """Why an outcome must be read back: the store said "conflict", or its answer was lost and the write may even
    still be on its way."""

    conflict = "conflict"
    lost = "lost"


@dataclass(frozen=True, slots=True)
class Target:
    """Where writes to one index go, and what their bodies are checked by."""

    place: str
    checker: Checker


def line_of(target: Target, write: Write) -> Line:
    """Raises BadInput, MappingConflict, or VersionConflict for a version that was never given out here."""
    check_id(write.id)
    if write.action == "replace" and write.version is None:
        raise BadInput("a replace needs the version that it replaces", field="version")
    condition = _condition(write) if write.version is not None and write.action in {"replace", "delete"} else b""
    action = _ACTIONS[write.action]
    id = pydantic_core.to_json(write.id)
    head = b'{"%b":{"_index":"%b","_id":%b%b}}' % (action, target.place.encode(), id, condition)
    if write.action == "delete":
        return Line(write, target.place, head, "")
    if write.body is None:
        raise BadInput(f"a {write.action} needs a body", field="body")
    for hidden in (KEY, WRITE):
        if hidden in write.body:
            raise MappingConflict(f"the index has no field {hidden}", field=hidden)
    # A field that this process does not know may have been added by a newer one: the store's mapping decides.
    target.checker.check(write.body, strict=False)
    write_id = os.urandom(9).hex()
    rest = to_json(write.body)[1:]
    comma = b"" if rest == b"}" else b","
    body = b'{"%b":%b,"%b":"%b"%b%b' % (KEY.encode(), id, WRITE.encode(), write_id.encode(), comma, rest)
    return Line(write, target.place, b"%b\n%b" % (head, body), write_id)


def version_of(document: Mapping[str, Any]) -> str:
    """The opaque version of a document or an item."""
    return f"{document['_seq_no']}.{document['_primary_term']}"


def _condition(write: Write) -> bytes:
    sequence, _, term = (write.version or "").partition(".")
    if not (sequence.isdecimal() and term.isdecimal() and len(sequence) < 19 and len(term) < 19):
        raise VersionConflict(f"{write.index}/{write.id} never had the version {write.version}")
    return b',"if_seq_no":%d,"if_primary_term":%d' % (int(sequence), int(term))


def outcome_of(line: Line, item: Mapping[str, Any]) -> Written | Doubt:
    """What an item of the answer says."""
    result: Mapping[str, Any] = next(iter(item.values()))
    status = int(result["status"])
    if status in {200, 201}:
        return Written(None if line.write.action == "delete" else version_of(result))
    if status == 404 and line.write.action == "delete":
        return Written(error=_missing(line))
    if status == 409:
        return Doubt.conflict
    if is_unknown(status):
        return Doubt.lost
    return Written(error=refusal(status, result.get("error") or {}))


def settle(line: Line, doubt: Doubt, found: Mapping[str, Any] | None) -> Written:
    """The outcome by what the store holds now (`found`, or None for no document)."""
    write = line.write
    if found is not None and line.write_id and found["_source"].get(WRITE) == line.write_id:
        return Written(version_of(found))
    if found is None and write.action == "delete" and doubt is Doubt.lost:
        return Written()
    if found is None and write.version is not None:
        return Written(error=_missing(line))
    if doubt is Doubt.conflict or (found is not None and _contradicts(write, found)):
        name = f"{write.index}/{write.id}"
        text = f"{name} exists already" if write.action == "create" else f"{name} has another version by now"
        return Written(error=VersionConflict(text))
    return Written(error=DocumentsUnavailable())


def _contradicts(write: Write, found: Mapping[str, Any]) -> bool:
    return write.action == "create" or (write.version is not None and version_of(found) != write.version)


def _missing(line: Line) -> DocumentMissing:
    return DocumentMissing(f"there is no {line.write.index}/{line.write.id}")
