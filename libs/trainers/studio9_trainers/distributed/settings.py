"""Which of several processes this one is, as torchrun says it."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Rank:
    """Number `rank` of `world`."""

    rank: int = 0
    world: int = 1

    @classmethod
    def from_environment(cls) -> "Rank":
        """What torchrun has set; alone without it."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
