"""What is free on the places while a pass gives it away."""

import heapq
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from studio9_common.contracts.job import Requirements
from studio9_orion.providers.port import Place, fits
from studio9_orion.scheduler.model import Shape, slots_of

Key = tuple[bool, float, int, str]


class Rooms:
    """The places of a pass. `take` gives the best one for a shape: the smallest that fits, without a GPU where none is
    needed, the worker with most room. What a place is worth to a shape only ever falls during a pass, so that each
    shape's heap may be put right when its top is looked at."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = places
        self._free = [sorted(place.free_memory) for place in places]
        self._heaps: dict[Shape, list[tuple[Key, int]]] = {}
        self._kept: set[int] = set()
        self.left = sum(map(len, self._free))
        """Slots that can still be given."""

    def take(self, shape: Shape) -> int | None:
        """Takes what one job of this shape needs; the place's index, or None where there is none (any more)."""
        heap = self._heaps.get(shape)
        if heap is None:
            heap = self._heaps[shape] = self._heap(shape)
        needs = shape[0]
        while heap:
            key, index = heap[0]
            now = None if index in self._kept else self._key(needs, index)
            if now is None:
                heapq.heappop(heap)
            elif now != key:
                heapq.heapreplace(heap, (now, index))
            else:
                self._give(needs, index)
                return index
        return None

    def keep(self, shape: Shape) -> int | None:
        """Keeps free what is free on the place that is nearest to having room for this shape; its index."""
        could = [index for index, place in enumerate(self.places) if fits(*shape, place)]
        if not could:
            return None
        index = min(could, key=lambda one: (-len(self._free[one]), self.places[one].worker))
        self._kept.add(index)
        self.left -= len(self._free[index])
        return index

    def after(self) -> tuple[Place, ...]:
        """The places as the pass leaves them."""
        return tuple(
            place if len(free) == place.free else replace(place, free=len(free), free_gib=tuple(reversed(free)))
            for place, free in zip(self.places, self._free, strict=True)
        )

    def _heap(self, shape: Shape) -> list[tuple[Key, int]]:
        made = []
        for index, place in enumerate(self.places):
            if self._free[index] and index not in self._kept and fits(*shape, place):
                key = self._key(shape[0], index)
                if key is not None:
                    made.append((key, index))
        heapq.heapify(made)
        return made

    def _key(self, needs: Requirements, index: int) -> Key | None:
        """The lower the better; None where there is no room."""
        free, place = self._free[index], self.places[index]
        first = bisect_left(free, needs.gpu_memory_gib) if needs.gpus else 0
        if len(free) - first < slots_of(needs):
            return None
        return place.kind == "gpu", free[first + slots_of(needs) - 1], -len(free), place.worker

    def _give(self, needs: Requirements, index: int) -> None:
        free = self._free[index]
        first = bisect_left(free, needs.gpu_memory_gib) if needs.gpus else 0
        del free[first : first + slots_of(needs)]
        self.left -= slots_of(needs)
