"""What every adapter checks alike before a store sees it: types of fields, conditions, sort keys."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import pydantic_core

from studio9_common.documents.port import Body, DocumentTooLarge, FieldType, MappingConflict, Where
from studio9_common.errors import BadInput

MAX_KEYWORD = 8_191
"""Characters of a keyword; an inverted index holds terms of at most 32,766 bytes."""
MAX_DOCUMENT = 256 * 1024
"""Bytes of a document in JSON. By design one stays under 64 KiB; beyond four times that the store refuses it."""
MAX_LIMIT = 1_000
"""Hits of one page."""
EXTRA = "extra"
"""The stored field that every index has, for what newer versions of a document hold."""

ALL = Where()
"""The condition that every document meets."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def _keyword(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_KEYWORD
    return isinstance(value, list) and all(isinstance(v, str) and len(v) <= MAX_KEYWORD for v in value)


def _long(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _double(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _time(value: Any) -> bool:
    return isinstance(value, str) and _is_time(value)


@lru_cache(4_096)  # the documents of a batch share their times
def _is_time(value: str) -> bool:
    try:
        return _TIME.fullmatch(value) is not None and 1970 <= datetime.fromisoformat(value).year <= 2261
    except ValueError:
        return False


_FITS: dict[FieldType, tuple[Callable[[Any], bool], str]] = {
    FieldType.keyword: (_keyword, f"text of at most {MAX_KEYWORD} characters, or a list of such"),
    FieldType.long: (_long, "a whole number of 64 bits"),
    FieldType.double: (_double, "a finite number"),
    FieldType.boolean: (lambda value: isinstance(value, bool), "true or false"),
    FieldType.time: (_time, "RFC 3339 in UTC with six digits, such as 2026-11-21T11:00:00.000000Z"),
    FieldType.stored: (lambda value: True, "any JSON"),
}


class Checker:
    """Checks bodies against the fields of one family; made once per family."""

    def __init__(self, fields: Mapping[str, FieldType]) -> None:
        self._checks = {name: None if kind is FieldType.stored else _FITS[kind] for name, kind in fields.items()}
        self._checks.setdefault(EXTRA, None)

    def check(self, body: Body, *, strict: bool = True) -> None:
        """Raises MappingConflict for a value of another type than its field's, and, with `strict`, for an unknown
        field."""
        checks = self._checks
        for name, value in body.items():
            if name not in checks:
                if strict:
                    raise MappingConflict(f"the index has no field {name}", field=name, fix="extend the mapping")
                continue
            fits = checks[name]
            if value is not None and fits is not None and not fits[0](value):
                raise MappingConflict(f"{name} must be {fits[1]}", field=name, value=value)


def to_json(body: Body) -> bytes:
    """The compact JSON of a body in UTF-8. Raises MappingConflict for what JSON cannot hold, DocumentTooLarge."""
    try:
        text = pydantic_core.to_json(body, inf_nan_mode="constants")
        if b"NaN" in text or b"Infinity" in text:  # perhaps only inside a text: the slower encoder tells
            text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise MappingConflict(f"a document must be JSON: {error}") from None
    if len(text) > MAX_DOCUMENT:
        raise DocumentTooLarge(f"a document of {len(text)} bytes is over {MAX_DOCUMENT}")
    return text


def alternatives(value: Any) -> tuple[list[Any], bool]:
    """The values of a condition, and whether a missing field is one of them."""
    many = list(value) if isinstance(value, tuple | list | set | frozenset) else [value]
    return [item for item in many if item is not None], None in many


def _kind(fields: Mapping[str, FieldType], name: str, allowed: Iterable[FieldType], use: str) -> FieldType:
    kind = FieldType.keyword if name == "id" else fields.get(name)
    if kind is None:
        raise BadInput(f"the index has no field {name}", field=name, fix=f"use one of {', '.join(fields)}")
    if kind not in allowed:
        raise BadInput(f"{name} ({kind}) cannot be used in `{use}`", field=name)
    return kind


_INDEXED = frozenset(FieldType) - {FieldType.stored}
_RANGED = frozenset({FieldType.long, FieldType.double, FieldType.time})


def check_where(fields: Mapping[str, FieldType], where: Where) -> None:
    """Raises BadInput for an unknown or unsearchable field, or a value that its field cannot hold."""
    for use, conditions in (("equals", where.equals), ("differs", where.differs)):
        for name, value in conditions.items():
            kind = _kind(fields, name, _INDEXED, use)
            for item in alternatives(value)[0]:
                if isinstance(item, list) or not _FITS[kind][0](item):
                    raise BadInput(f"{name} in `{use}` must be {_FITS[kind][1]}", field=name, value=item)
    for use, conditions in (("at_least", where.at_least), ("below", where.below)):
        for name, value in conditions.items():
            kind = _kind(fields, name, _RANGED, use) if name != "id" else FieldType.keyword
            if isinstance(value, list) or not _FITS[kind][0](value):
                raise BadInput(f"{name} in `{use}` must be {_FITS[kind][1]}", field=name, value=value)
    for name, value in where.prefix.items():
        _kind(fields, name, (FieldType.keyword,), "prefix")
        if not isinstance(value, str) or not value:
            raise BadInput(f"{name} in `prefix` must be text", field=name, value=value)


def sort_keys(fields: Mapping[str, FieldType], sort: Sequence[str]) -> list[tuple[str, bool]]:
    """(field, descending) of each key, the id last. Raises BadInput for an unknown or unsearchable field."""
    keys: list[tuple[str, bool]] = []
    for key in sort:
        name = key.removeprefix("-")
        _kind(fields, name, _INDEXED, "sort")
        if name not in {field for field, _ in keys}:
            keys.append((name, key.startswith("-")))
    if "id" not in {field for field, _ in keys}:
        keys.append(("id", False))
    return keys


def check_limit(limit: int) -> None:
    """Raises BadInput outside 1 to 1,000."""
    if not 1 <= limit <= MAX_LIMIT:
        raise BadInput(f"limit must be 1 to {MAX_LIMIT}", field="limit", value=limit)
