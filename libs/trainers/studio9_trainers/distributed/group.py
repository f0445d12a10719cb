"""The group of processes, and what passes between them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from studio9_trainers.distributed.settings import Rank
from studio9_trainers.errors import LostTouch

PATIENCE_S = 600
"""How long one waits for the others: the last picture of the slowest may take its time."""


@contextmanager
def joined(rank: Rank, meeting: str = "env://") -> Iterator[None]:
    """Be one of the group within the block; does nothing for one alone. `meeting`: where they find each other, by
    default as torchrun says it. Raises LostTouch where they don't."""
    if rank.world == 1:
        yield
        return
    backend = "gloo"
    if torch.cuda.is_available() and torch.cuda.device_count() >= rank.world:
        backend = "nccl"
        torch.cuda.set_device(rank.rank)
    patience = timedelta(seconds=PATIENCE_S)
    with heard():
        dist.init_process_group(backend, meeting, timeout=patience, rank=rank.rank, world_size=rank.world)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def heard() -> Iterator[None]:
    """Raise LostTouch where what passes between processes within the block does not arrive."""
    try:
        yield
    except RuntimeError as error:
        raise LostTouch from error


def average_gradients(model: torch.nn.Module) -> None:
    """Let every process have the mean of all gradients: with equal shares of a batch and a mean loss that is the whole
    batch's gradient."""
    sum_gradients(model, dist.get_world_size())


def sum_gradients(model: torch.nn.Module, parts: int = 1) -> None:
    """Let every process have the sum of all gradients, divided by `parts`. A parameter that one has no gradient for
    counts as zero there; one that none has a gradient for keeps none."""
    own = [one for one in model.parameters() if one.requires_grad]
    if not own:
        return
    flags = torch.tensor([float(one.grad is not None) for one in own], device=own[0].device)
    rows = [(torch.zeros_like(one) if one.grad is None else one.grad).reshape(-1).float() for one in own]
    flat = torch.cat([*rows, flags])
    with heard():
        dist.all_reduce(flat)
    *summed, known = flat.split([*(one.numel() for one in own), len(own)])
    for one, row, seen in zip(own, summed, known.tolist(), strict=True):
        if seen:
            one.grad = (row / parts).view_as(one).to(one.dtype)


def average_buffers(model: torch.nn.Module) -> None:
    """Let every process have the mean of the numbers that are no weights, as norms keep them."""
    own = [one for one in model.buffers() if one.is_floating_point()]
    if not own:
        return
    flat = torch.cat([one.detach().reshape(-1).float() for one in own])
    with heard():
        dist.all_reduce(flat)
    flat /= dist.get_world_size()
    with torch.no_grad():
        for one, part in zip(own, flat.split([one.numel() for one in own]), strict=True):
            one.copy_(part.view_as(one))


def checksum(*models: torch.nn.Module) -> int:
    """A number that differs where one bit of weights or buffers does."""
    digest = hashlib.blake2b(digest_size=6)
    for model in models:
        for name, value in sorted(model.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return int.from_bytes(digest.digest(), "big")
