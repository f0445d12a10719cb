"""The Content-Disposition header that makes a browser save under a name (RFC 6266, RFC 8187)."""

import re
from urllib.parse import quote

from studio9_common.errors import BadInput

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


def attachment(filename: str) -> str:
    """`attachment` with an ASCII name and, where they differ, the true one. Raises BadInput for control characters."""
    if not filename or len(filename) > 1024 or _UNSAFE.search(filename):
        raise BadInput(
            "this is no file name", field="filename", value=repr(filename), fix="1 to 1,024 printable characters"
        )
    plain = re.sub(r"[^\x20-\x7e]|[\"\\/%]", "_", filename)
    header = f'attachment; filename="{plain}"'
    return header if plain == filename else f"{header}; filename*=UTF-8''{quote(filename, safe='')}"
