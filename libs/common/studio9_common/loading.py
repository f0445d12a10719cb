"""How a program loads its modules. This one loads next to nothing."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """While a program loads its modules nothing becomes garbage, and Python would spend a fifth of the time on looking
    for some."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
