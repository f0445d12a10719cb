"""The opaque text between two pages: the sort keys and the last hit's values under them."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from studio9_common.errors import BadInput

Keys = Sequence[tuple[str, bool]]


def _names(keys: Keys) -> list[str]:
    return [f"-{name}" if descending else name for name, descending in keys]


def encode_cursor(keys: Keys, values: Sequence[Any]) -> str:
    """The text for `after` of the page that follows a hit with these values."""
    text = json.dumps([_names(keys), list(values)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(keys: Keys, after: str) -> list[Any]:
    """The values. Raises BadInput for text that is no cursor, or one of another sort order."""
    try:
        names, values = json.loads(base64.urlsafe_b64decode(after + "=" * (-len(after) % 4)))
        fits = names == _names(keys) and len(values) == len(names)
    except (ValueError, TypeError):
        raise BadInput(
            "`after` is not the `next` of a page", field="after", value=after, fix="start without it"
        ) from None
    if not fits or not all(value is None or isinstance(value, str | int | float) for value in values):
        raise BadInput("`after` belongs to another sort order", field="after", fix="keep the sort between pages")
    return list(values)
