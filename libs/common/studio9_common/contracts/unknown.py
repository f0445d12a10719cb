"""Fields that this version does not know are kept when it rewrites a document, however deep they lie.

What is unknown in a part of a document is held beside it: for one part a mapping of its unknown fields, for a list of
parts such a mapping by the number that tells them apart. It is put back where the part is still there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a part: its fields, and those of them that are parts again. `key` tells the parts of a list
    apart; None: there is only one."""

    fields: frozenset[str]
    parts: Mapping[str, "Shape"]
    key: str | None = None


def shape(kind: Any, *, key: str | None = None, **parts: Shape) -> Shape:
    """The shape of a dataclass, with those of its parts."""
    return Shape(frozenset(kind.__dataclass_fields__), parts, key)


def unknown(body: Mapping[str, Any], known: Shape) -> dict[str, Any]:
    """The fields of a document that its shape does not have; empty where there are none."""
    found: dict[str, Any] = {}
    if not known.fields.issuperset(body):
        found = {name: value for name, value in body.items() if name not in known.fields}
    for name, part in known.parts.items():
        value = body.get(name)
        if not value:
            continue
        inner: dict[str, Any] = {}
        if isinstance(value, dict):
            inner = unknown(value, part)
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict) and (more := unknown(one, part)):
                    inner[str(one.get(part.key))] = more
        if inner:
            found[name] = inner
    return found


def put_back(body: dict[str, Any], extra: Mapping[str, Any], known: Shape) -> dict[str, Any]:
    """The document with what `unknown` found in its older self; what it knows by now stays as it is."""
    if not extra:
        return body
    made = {name: value for name, value in extra.items() if name not in known.fields} | body
    for name in extra.keys() & known.parts.keys():
        part, value = known.parts[name], made.get(name)
        if isinstance(value, dict):
            made[name] = put_back(value, extra[name], part)
        elif value and part.key is not None:
            made[name] = [put_back(one, extra[name].get(str(one[part.key]), {}), part) for one in value]
    return made
