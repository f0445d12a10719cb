"""The group of processes, and what they agree on."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from studio9_trainers.distributed.settings import Rank

PATIENCE_S = 600
"""How long one waits for the others: the last picture of the slowest may take its time."""


@contextmanager
def joined(rank: Rank) -> Iterator[None]:
    """Be one of the group within the block; does nothing for one alone."""
    if rank.world == 1:
        yield
        return
    backend = "nccl" if torch.cuda.is_available() and torch.cuda.device_count() >= rank.world else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=PATIENCE_S))
    try:
        yield
    finally:
        dist.destroy_process_group()


def average_gradients(model: torch.nn.Module) -> None:
    """Let every process have the mean of all gradients: with equal shares of a batch and a mean loss that is the whole
    batch's gradient. A parameter that one process has no gradient for counts as zero there."""
    own = [one for one in model.parameters() if one.requires_grad]
    if not own:
        return
    parts = [(torch.zeros_like(one) if one.grad is None else one.grad).reshape(-1).float() for one in own]
    flat = torch.cat(parts)
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for one, part in zip(own, flat.split([one.numel() for one in own]), strict=True):
        one.grad = part.view_as(one).to(one.dtype)


def checksum(model: torch.nn.Module) -> float:
    """A number that differs where weights differ."""
    return float(sum(value.double().abs().sum() for value in model.state_dict().values()))
