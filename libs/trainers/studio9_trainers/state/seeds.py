"""Every random choice of a training is a function of (seed, epoch, rank), and inside an epoch of the step."""

import hashlib
import random

import numpy as np
import torch


def seed_of(*parts: object) -> int:
    """A number below 2**32 that follows from the parts alone."""
    text = ":".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "big")


def reseed(*parts: object) -> None:
    """Set the generators that libraries draw from (Python's, NumPy's, torch's on every device)."""
    seed = seed_of(*parts)
    random.seed(seed)
    np.random.seed(seed)  # libraries draw from this one
    torch.manual_seed(seed)


def deterministic(wanted: bool) -> None:
    """Make torch choose kernels that give the same sums each time, where it has such."""
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    torch.backends.cudnn.deterministic = wanted
    torch.backends.cudnn.benchmark = not wanted
