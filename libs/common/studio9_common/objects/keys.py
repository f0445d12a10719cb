"""Which keys are usable, and how metadata travels in headers."""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from studio9_common.errors import BadInput
from studio9_common.objects.port import BadKey

MAX_KEY = 1024
"""Bytes of UTF-8 in a key, S3's limit."""
MAX_METADATA = 2048
"""Bytes of names and encoded values together, S3's limit."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def check_key(key: str, limit: int = MAX_KEY) -> str:
    """The key itself. Raises BadKey, saying which rule it breaks."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise BadKey("the key is not text that UTF-8 can hold", field="key", value=repr(key)) from None
    if not 1 <= size <= limit:
        raise BadKey(f"the key has {size} bytes, allowed are 1 to {limit}", field="key", value=key)
    if _CONTROL.search(key):
        raise BadKey("the key holds a control character", field="key", value=repr(key))
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise BadKey("the key has an empty, `.` or `..` part", field="key", value=key)
    return key


def check_prefix(prefix: str) -> str:
    """The prefix with its closing `/` (whole parts only; empty is everything). Raises BadKey."""
    if not prefix:
        return ""
    return check_key(prefix.removesuffix("/")) + "/"


def check_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """A copy. Names are `[a-z][a-z0-9-]*`; `sha256` is ours. Raises BadInput for others or for over 2 KiB."""
    copy = dict(metadata or {})
    for name in copy:
        if not _NAME.fullmatch(name) or name == "sha256":
            raise BadInput(
                f"metadata cannot be named {name!r}",
                field=f"metadata.{name}",
                fix="use lower-case letters, digits and `-`; `sha256` is reserved",
            )
    if sum(len(name) + len(header_value(value)) for name, value in copy.items()) > MAX_METADATA:
        raise BadInput(f"metadata is over {MAX_METADATA} bytes", field="metadata", fix="store an object instead")
    return copy


def header_value(text: str) -> str:
    """Text as printable ASCII: what a header cannot hold is percent-encoded, and so is `%`."""
    return quote(text, safe=_PLAIN)


def from_header(value: str) -> str:
    """The text of `header_value`."""
    return unquote(value)
