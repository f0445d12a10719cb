"""The pictures that one of several processes learns from in an epoch."""

import math
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from studio9_trainers.state.seeds import seed_of


class Share(Sampler[int]):
    """Every `world`-th of all numbers below `count`, in an order that follows from seed and epoch; all shares have one
    length, so a few numbers may come twice."""

    def __init__(self, count: int, seed: int, rank: int, world: int) -> None:
        self._count, self._seed = count, seed
        self._rank, self._world = rank, world
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(self._count / self._world)

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng(seed_of("order", self._seed, self.epoch)).permutation(self._count)
        whole = np.resize(order, len(self) * self._world)
        return iter(whole[self._rank :: self._world].tolist())
