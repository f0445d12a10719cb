"""Compiled loops, kept on the disk where there is a place for them."""

from collections.abc import Callable
from typing import TypeVar

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(function: Loop) -> Loop:
    """Compile at the first call; later processes find the result in a cache if any of its folders can be written."""
    try:
        return numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # a read-only system without a home
        return numba.njit(function, nogil=True)
