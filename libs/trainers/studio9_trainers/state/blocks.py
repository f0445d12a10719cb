"""Trees of tensors as a few blocks of memory: copied in milliseconds, and written as fast as a disk takes them.

A file of a thousand small tensors takes its time tensor by tensor, not byte by byte.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

MARK = "tensor"
ALIGNED = 16
"""Each tensor begins at a multiple of so many numbers."""


class Blocks:
    """Copies trees of tensors (dicts, lists and tuples around them) into blocks, which the next copy uses again."""

    def __init__(self) -> None:
        self._own: dict[torch.dtype, torch.Tensor] = {}

    def copy(self, tree: Any, full: bool) -> dict[str, Any]:
        """`blocks` by the names of their kinds of numbers, and the `tree` with places in them instead of tensors.

        `full`: floating-point numbers are copied in full precision (32 bits). The blocks hold until the next call.
        """
        sizes: dict[torch.dtype, int] = {}
        found: list[tuple[torch.Tensor, torch.dtype, int, tuple[int, ...]]] = []

        def place(tensor: torch.Tensor) -> tuple[Any, ...]:
            kind = torch.float32 if full and tensor.is_floating_point() else tensor.dtype
            at = sizes.get(kind, 0)
            sizes[kind] = at + -(-tensor.numel() // ALIGNED) * ALIGNED
            strides = _strides(tensor)
            found.append((tensor, kind, at, strides))
            return MARK, _name(kind), at, tuple(tensor.shape), strides

        placed = _mapped(tree, lambda one: isinstance(one, torch.Tensor), place)
        self._own = {kind: self._block(kind, size) for kind, size in sizes.items()}
        for tensor, kind, at, strides in found:
            self._own[kind].as_strided(tensor.shape, strides, at).copy_(tensor.detach())
        return {"blocks": {_name(kind): block for kind, block in self._own.items()}, "tree": placed}

    def _block(self, kind: torch.dtype, size: int) -> torch.Tensor:
        known = self._own.get(kind)
        return known if known is not None and known.numel() == size else torch.zeros(size, dtype=kind)


def taken_apart(content: Mapping[str, Any]) -> Any:
    """The tree that was copied, each tensor on its own again.

    Raises KeyError, TypeError, ValueError or RuntimeError where it is none.
    """
    blocks = content["blocks"]

    def tensor(place: tuple[Any, ...]) -> torch.Tensor:
        _, kind, at, shape, strides = place
        if math.prod(shape) > blocks[kind].numel():  # strides of 0 would make any size of a few numbers
            raise ValueError("a tensor is larger than its block")
        return blocks[kind].as_strided(shape, strides, at).clone()

    return _mapped(content["tree"], lambda one: isinstance(one, tuple) and len(one) == 5 and one[0] == MARK, tensor)


def _mapped(tree: Any, leaf: Callable[[Any], bool], change: Callable[[Any], Any]) -> Any:
    if leaf(tree):
        return change(tree)
    if isinstance(tree, Mapping):
        return {key: _mapped(value, leaf, change) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(_mapped(value, leaf, change) for value in tree)
    return tree


def _strides(tensor: torch.Tensor) -> tuple[int, ...]:
    """Those of the tensor where it leaves no gaps, so that its order in memory stays; else the usual ones."""
    if not tensor.is_contiguous():
        room = 1
        for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
            if size > 1 and stride != room:
                return tuple(tensor.contiguous().stride())
            room *= size
    return tuple(tensor.stride())


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
