"""The types of values: JSON schemas, registered per service and key or known to all."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from studio9_common.contracts.configuration import SHARED_KEYS
from studio9_common.errors import BadInput, TooLarge

MAX_SCHEMA = 32 * 1024
"""Bytes of a schema in JSON."""

Schema = Mapping[str, Any]


def check_schema(schema: Schema) -> None:
    """Raises BadInput for what is no JSON schema (draft 2020-12) of its own, TooLarge."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise BadInput(f"this is no JSON schema: {error.message}", field="schema") from None
    if len(json.dumps(schema)) > MAX_SCHEMA:
        raise TooLarge(f"a schema is at most {MAX_SCHEMA} bytes", field="schema")
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise BadInput("a schema refers to nothing outside itself", field="schema.$ref", value=reference)


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        yield from (str(part[name]) for name in ("$ref", "$dynamicRef") if name in part)
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


def matches(pattern: str, name: str) -> bool:
    """Whether a name is meant by a pattern; a trailing `*` stands for the rest."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def choose(registered: Iterable[tuple[str, str, Schema]], service: str, key: str) -> Schema | None:
    """The schema of a key among (service pattern, key pattern, schema): the most exact one wins."""
    known = [*registered, *((shared.service, shared.key, shared.schema()) for shared in SHARED_KEYS)]
    fitting = [item for item in known if matches(item[0], service) and matches(item[1], key)]
    return max(fitting, key=_exactness)[2] if fitting else None


def _exactness(item: tuple[str, str, Schema]) -> tuple[bool, int, bool, int]:
    service, key, _ = item
    return not service.endswith("*"), len(service), not key.endswith("*"), len(key)


def check_value(schema: Schema | None, service: str, key: str, value: Any) -> None:
    """Raises BadInput for a value that its type refuses, or that has none."""
    if schema is None:
        raise BadInput(f"{service}/{key} has no type yet", field="key", value=key, fix="register its JSON schema first")
    # An empty registry: a schema never makes us fetch another one.
    try:
        error = best_match(Draft202012Validator(schema, registry=Registry()).iter_errors(value))
    except Unresolvable as lost:
        raise BadInput(f"the type of {service}/{key} refers to nothing: {lost}", field="key") from None
    if error is not None:
        field = ".".join(("value", *map(str, error.absolute_path)))
        raise BadInput(f"{field}: {error.message}", field=field)
