"""A printed catalogue says once what occurs in it several times: parameters of many heads, which make most of it.

Shared parameters stand in `shared`; where one belongs stands its place there (a whole number from 0) instead.
"""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

PLACES = ("architectures", "heads", "tasks")
"""The parts of a catalogue whose entries have parameters."""
MOST_BYTES = 4 << 20
"""Of what stands for places in `shared`, as JSON: a small catalogue must not become a huge one."""


def shared(catalogue: Mapping[str, Any]) -> dict[str, Any]:
    """A catalogue, as JSON has it, with what occurs several times in `shared`."""
    found = Counter(json.dumps(one) for part in PLACES for entry in catalogue[part] for one in _of(entry))
    places = {text: place for place, text in enumerate(text for text, times in found.items() if times > 1)}

    def referring(entry: dict[str, Any]) -> dict[str, Any]:
        if not _of(entry):
            return entry
        return {**entry, "parameters": [places.get(json.dumps(one), one) for one in _of(entry)]}

    made = {part: [referring(entry) for entry in catalogue[part]] for part in PLACES}
    return {**catalogue, "shared": [json.loads(text) for text in places], **made}


def whole(catalogue: Any) -> Any:
    """The same without `shared`, each parameter where it belongs. What is no such catalogue is left as it is. Raises
    ValueError, naming the entry, for a place that `shared` does not have, and for more than MOST_BYTES."""
    if not isinstance(catalogue, Mapping) or not _is_list(catalogue.get("shared")):
        return catalogue
    known = catalogue["shared"]
    sizes = [len(json.dumps(one, default=str)) for one in known]
    size = 0

    def one(entry: Mapping[str, Any], given: Any) -> Any:
        if not isinstance(given, int) or isinstance(given, bool):
            return given
        if not 0 <= given < len(known):
            name = entry.get("id", entry.get("kind"))
            raise ValueError(f"parameters of {name}: {given} is no place in shared, which has {len(known)}")
        nonlocal size
        size += sizes[given]
        if size > MOST_BYTES:
            name = entry.get("id", entry.get("kind"))
            raise ValueError(f"parameters of {name}: with what shared has for them, more than {MOST_BYTES} bytes")
        return known[given]

    def resolved(entry: Any) -> Any:
        if not isinstance(entry, Mapping) or not _is_list(entry.get("parameters")):
            return entry
        return {**entry, "parameters": [one(entry, given) for given in entry["parameters"]]}

    parts = {part: [resolved(entry) for entry in catalogue[part]] for part in PLACES if _is_list(catalogue.get(part))}
    return {key: value for key, value in catalogue.items() if key != "shared"} | parts


def _of(entry: Mapping[str, Any]) -> list[Any]:
    return list(entry.get("parameters", ()))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
