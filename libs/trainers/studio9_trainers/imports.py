"""How libraries of seconds are loaded."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """While libraries are loaded nothing becomes garbage, and Python would spend a fifth of the time on looking for
    some."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
