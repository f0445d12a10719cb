"""Batches of pictures whose order and variations follow from (seed, epoch, rank) alone."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.detections import Floats
from studio9_trainers.loading.jpeg import decode_soon
from studio9_trainers.loops.pixels import Placed, Variation, place, squared
from studio9_trainers.state.seeds import seed_of

KEPT_BYTES = 512 * 2**20
"""Decoded pictures are kept in memory up to so much."""


@dataclass(frozen=True)
class Batch:
    """`pixels`: uint8, pictures × 3 × side × side. `placed` says where each picture lies in its square."""

    pixels: torch.Tensor
    pictures: tuple[Picture, ...]
    placed: tuple[Placed, ...]
    side: int

    def boxes(self, number: int, corners: Floats) -> Floats:
        """A picture's boxes in its square, cut to it; those of which less than a fifth is left are none (0 wide)."""
        moved = self.placed[number].forward(corners)
        cut = moved.clip(0, self.side)
        before = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
        after = (cut[:, 2] - cut[:, 0]) * (cut[:, 3] - cut[:, 1])
        cut[after < 0.2 * before] = 0.0
        return cut


class PictureBatches:
    """One epoch after another over some pictures; each of `world` processes sees its own share."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        side: int,
        batch_size: int,
        seed: int,
        variation: Variation | None = None,
        rank: int = 0,
        world: int = 1,
        threads: int = 1,
    ) -> None:
        self._pictures, self._side, self._size = tuple(pictures), side, batch_size
        self._seed, self._variation = seed, variation
        self._rank, self._world = rank, world
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._kept: dict[int, Pixels] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        """Batches an epoch, alike on every rank."""
        return math.ceil(math.ceil(len(self._pictures) / self._world) / self._size)

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """The batches of an epoch (from 0), without the first `skip`. Without variation they keep their order."""
        order = np.arange(len(self._pictures))
        if self._variation is not None:
            order = np.random.default_rng(seed_of("order", self._seed, epoch)).permutation(order)
        if self._world > 1:
            whole = math.ceil(len(order) / self._world) * self._world
            order = np.resize(order, whole)[self._rank :: self._world]
        for start in range(skip * self._size, len(order), self._size):
            yield self._batch(epoch, order[start : start + self._size].tolist())

    def _batch(self, epoch: int, numbers: list[int]) -> Batch:
        one = partial(self._one, epoch)
        made = list(self._pool.map(one, numbers) if self._pool is not None else map(one, numbers))
        stacked = torch.from_numpy(np.stack([pixels for pixels, _ in made]).transpose(0, 3, 1, 2))
        return Batch(
            pixels=stacked,
            pictures=tuple(self._pictures[number] for number in numbers),
            placed=tuple(placed for _, placed in made),
            side=self._side,
        )

    def _one(self, epoch: int, number: int) -> tuple[Pixels, Placed]:
        picture = self._pictures[number]
        random = None
        if self._variation is not None:
            random = np.random.default_rng(seed_of("vary", self._seed, epoch, number))
        shape = (picture.record.height, picture.record.width)
        placed = place(shape, self._side, self._variation or Variation(), random)
        return squared(self._decoded(number, picture), self._side, placed), placed

    def _decoded(self, number: int, picture: Picture) -> Any:
        kept = self._kept.get(number)
        if kept is None:
            kept = decode_soon(picture.path, picture.record.filename or picture.record.picture_id)
            if self._kept_bytes + kept.nbytes <= KEPT_BYTES:
                self._kept[number] = kept
                self._kept_bytes += kept.nbytes
        return kept
