"""When a signed URL ends, chosen so that its text stays the same for a while.

A browser that shows an album asks for the same pictures again and again; a URL whose text changes with every answer
defeats its cache. A URL that is to hold an hour or longer is therefore dated back to the start of a one-hour window and
holds one window longer: asked for at any moment of the window it is the same text and still holds `expires_s` or more.
Windows of different keys begin at different moments, so that an album does not change all at once.
"""

from dataclasses import dataclass
from zlib import crc32

from studio9_common.errors import BadInput

WINDOW_S = 3600
"""Seconds for which a URL's text stays the same."""
MAX_EXPIRES_S = 7 * 86_400 - WINDOW_S
"""The longest `expires_s`: SigV4 allows seven days in all."""


@dataclass(frozen=True, slots=True)
class Validity:
    """From when, for how many seconds; Unix time."""

    issued: int
    seconds: int

    @property
    def expires(self) -> int:
        return self.issued + self.seconds


def validity(key: str, expires_s: int, now: float) -> Validity:
    """The validity of a URL asked for at `now`. Under an hour it is exact, from then on rounded up by a window."""
    if not 1 <= expires_s <= MAX_EXPIRES_S:
        raise BadInput(
            f"a signed URL cannot hold {expires_s} s",
            field="expires_s",
            value=expires_s,
            fix=f"1 to {MAX_EXPIRES_S}",
        )
    if expires_s < WINDOW_S:
        return Validity(int(now), expires_s)
    phase = crc32(key.encode()) % WINDOW_S
    return Validity((int(now) - phase) // WINDOW_S * WINDOW_S + phase, WINDOW_S + expires_s)
