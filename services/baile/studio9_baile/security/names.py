"""Names that users give: to files, which never become paths, and to assets."""

import unicodedata
from typing import Any

from studio9_common.errors import BadInput

LONGEST_FILE = 255
LONGEST_NAME = 255


class BadFileName(BadInput):
    """This file name cannot be used; give a plain name without folders or control characters."""

    code = "bad_file_name"


def file_name(text: str, field: str = "filename") -> str:
    """A file's name as it is kept: a label for people, in Unicode's composed form. Raises BadFileName."""
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise BadFileName("File name is empty", field=field, fix="give the picture a name")
    if len(name.encode(errors="replace")) > LONGEST_FILE:
        raise BadFileName("File name is too long", field=field, fix=f"use at most {LONGEST_FILE} bytes")
    if "/" in name or "\\" in name or name in (".", ".."):
        raise BadFileName("File name holds a path", field=field, value=name, fix="give the name alone, without folders")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in name):
        raise BadFileName("File name holds control characters", field=field, value=repr(name), fix="remove them")
    return name


def asset_name(text: str | None, kind: str, field: str = "name") -> str:
    """An asset's name. Raises BadInput for none, an empty or an overlong one."""
    if text is None:
        raise BadInput(f"{kind} name not specified", field=field, fix="give a name")
    name = text.strip()
    if not name:
        raise BadInput(f"{kind} name cannot be empty", field=field, fix="give a name")
    if len(name) > LONGEST_NAME:
        raise BadInput(f"{kind} name is too long", field=field, fix=f"use at most {LONGEST_NAME} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise BadInput(f"{kind} name holds control characters", field=field, fix="remove them")
    return name


def text(value: str | None, field: str, limit: int = 10_000) -> str | None:
    """A free text. Raises BadInput for an overlong one, or one with a NUL, which databases refuse."""
    if value is not None and (len(value) > limit or "\x00" in value):
        raise BadInput("Text cannot be used", field=field, fix=f"use at most {limit} characters, none of them NUL")
    return value


def unstorable(text: str) -> bool:
    """Whether a text holds what databases and UTF-8 refuse: a NUL, or half of a surrogate pair."""
    return "\x00" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text))


def first_unstorable(data: Any) -> str | None:
    """Where in parsed JSON the first text is that cannot be stored, as `a.0.b`; None if every text can be."""
    waiting: list[tuple[str, Any]] = [("", data)]
    while waiting:
        where, value = waiting.pop()
        if isinstance(value, str):
            if unstorable(value):
                return where
        elif isinstance(value, dict):
            if any(isinstance(key, str) and unstorable(key) for key in value):
                return where
            waiting += [(f"{where}.{key}".lstrip("."), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{where}.{number}".lstrip("."), item) for number, item in enumerate(value)]
    return None
