"""Epochs of batches whose order and variations follow from (seed, epoch) and the picture alone."""

import math
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from studio9_trainers.data.dataset import Picture
from studio9_trainers.detections import Floats, Ints
from studio9_trainers.loading.jpeg import decode_soon
from studio9_trainers.loading.variation import Varied, draw, moved, paint
from studio9_trainers.state.seeds import seed_of

ROOM = 3
"""Batches whose memory is kept for later ones."""


@dataclass(frozen=True)
class LoadedBatch:
    """`pixels`: uint8, (pictures, 3, side, side), red, green, blue; colours lie together in memory (channels last).

    `corners` and `labels` hold every picture's boxes one after the other, `owners` which picture each is of.
    """

    pixels: torch.Tensor
    corners: Floats
    labels: Ints
    owners: Ints
    pictures: tuple[Picture, ...]


class PictureLoader:
    """Batches of a set of pictures; each of `world` processes gets its own share of every epoch."""

    def __init__(
        self,
        pictures: Sequence[Picture],
        labels: Sequence[str],
        side: int,
        batch_size: int,
        *,
        seed: int = 0,
        varied: Varied | None = None,
        rank: int = 0,
        world: int = 1,
        threads: int = 1,
    ) -> None:
        self._pictures, self._side, self._size = tuple(pictures), side, batch_size
        self._seed, self._varied = seed, varied
        self._rank, self._world = rank, world
        index = {label: number for number, label in enumerate(labels)}
        self._corners = [
            np.array([box.corners for box in one.boxes if not box.ignore], np.float64).reshape(-1, 4)
            for one in self._pictures
        ]
        self._labels = [
            np.array([index[box.label] for box in one.boxes if not box.ignore], np.int64) for one in self._pictures
        ]
        self._room: list[Any] = []
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def __len__(self) -> int:
        """Batches an epoch, alike on every rank."""
        return math.ceil(math.ceil(len(self._pictures) / self._world) / self._size)

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[LoadedBatch]:
        """The batches of an epoch (from 0), without the first `skip`. Unvaried pictures keep their order.

        Raises BadPicture for what can't be decoded.
        """
        order = np.arange(len(self._pictures))
        if self._varied is not None:
            order = np.random.default_rng(seed_of("order", self._seed, epoch)).permutation(order)
        if self._world > 1:
            whole = math.ceil(len(order) / self._world) * self._world
            order = np.resize(order, whole)[self._rank :: self._world]
        for begin in range(skip * self._size, len(order), self._size):
            yield self._batch(epoch, order[begin : begin + self._size].tolist())

    def _batch(self, epoch: int, numbers: list[int]) -> LoadedBatch:
        squares = self._free(len(numbers))
        places = [(epoch, number, squares[at]) for at, number in enumerate(numbers)]
        made = list(self._pool.map(self._one, places) if self._pool is not None else map(self._one, places))
        return LoadedBatch(
            pixels=torch.from_numpy(squares).permute(0, 3, 1, 2),
            corners=np.concatenate([corners for corners, _ in made]),
            labels=np.concatenate([labels for _, labels in made]),
            owners=np.repeat(np.arange(len(made)), [len(labels) for _, labels in made]),
            pictures=tuple(self._pictures[number] for number in numbers),
        )

    def _free(self, count: int) -> Any:
        """Room for so many pictures: that of an earlier batch that nobody holds any more, for new memory costs as much
        time as painting a quarter of it."""
        for at, squares in enumerate(self._room):
            # Held by the list, the loop's name and the call itself; a batch's tensor holds it once more.
            if sys.getrefcount(squares) == 3 and len(squares) == count:
                return self._room[at]
        squares = np.empty((count, self._side, self._side, 3), np.uint8)
        self._room = [*self._room[-ROOM + 1 :], squares]
        return squares

    def _one(self, place: tuple[int, int, Any]) -> tuple[Floats, Ints]:
        epoch, number, out = place
        picture = self._pictures[number]
        random = np.random.default_rng(seed_of("vary", self._seed, epoch, number))
        shape = (picture.record.height, picture.record.width)
        drawn = draw(shape, self._side, self._varied, random)
        name = picture.record.filename or picture.record.picture_id
        pixels = decode_soon(picture.path, name, shape, drawn.size)
        paint(pixels, self._side, drawn.of(shape, pixels.shape), out)
        corners, left = moved(self._corners[number], drawn, self._side)
        return corners[left], self._labels[number][left]
