"""What SQS and SNS allow; checked alike by every adapter, so that what works embedded works there."""

import re
from collections.abc import Mapping

from studio9_common.errors import BadInput, TooLarge

MAX_BODY = 256 * 1024
"""Bytes of a message's body and attributes."""
MAX_WAIT_S = 20
MAX_RECEIVE = 10
MAX_VISIBILITY_S = 12 * 3600

_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_name(name: str, what: str) -> str:
    """A queue's or topic's name: 75 characters leave room for `-dead`. Raises BadInput."""
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"a {what} cannot be named {name!r}", field=what, value=name, fix="1 to 75 letters, digits, `-` and `_`"
        )
    return name


def check_message(body: str, attributes: Mapping[str, str] | None) -> dict[str, str]:
    """The attributes. Raises TooLarge, or BadInput for what SQS cannot carry."""
    copy = dict(attributes or {})
    if not body or _NOT_XML.search(body):
        raise BadInput(
            "a message's body is text of at least one character, without control characters but tab and line ends",
            field="body",
        )
    if any(not value for value in copy.values()):
        raise BadInput("an attribute cannot be empty", field="attributes", fix="leave it out")
    if len(copy) > 10:
        raise BadInput("a message has at most 10 attributes", field="attributes", value=len(copy))
    size = len(body.encode()) + sum(len(name.encode()) + len(value.encode()) for name, value in copy.items())
    if size > MAX_BODY:
        raise TooLarge(f"a message of {size} bytes is over {MAX_BODY}; send the key of an object", field="body")
    return copy


def check_receive(limit: int, wait_s: float, visibility_s: int | None) -> None:
    """Raises BadInput for values outside the ranges."""
    for field, value, low, high in (
        ("limit", limit, 1, MAX_RECEIVE),
        ("wait_s", wait_s, 0, MAX_WAIT_S),
        ("visibility_s", 0 if visibility_s is None else visibility_s, 0, MAX_VISIBILITY_S),
    ):
        if not low <= value <= high:
            raise BadInput(f"{field} is {value}", field=field, value=value, fix=f"{low} to {high}")
