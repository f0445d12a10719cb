"""What is broken right now. Faults switch things on and off here; the ports look and behave accordingly."""

import random
from collections import Counter
from dataclasses import dataclass, field

PARTS = ("bus", "store", "objects")


@dataclass(slots=True)
class Weather:
    """Probabilities are per message, item or call; 0 is fair weather. Times are seconds."""

    down: set[str] = field(default_factory=set)
    """Parts that are away for everybody."""
    cut: set[tuple[str, str]] = field(default_factory=set)
    """(node, part): this node cannot reach that part."""
    full_disks: set[str] = field(default_factory=set)
    """Workers whose disk takes nothing more; `bus` and `store` stand for those of the servers."""

    effects: Counter[str] = field(default_factory=Counter)
    """What really went wrong so far, by cause: a fault that met nobody proves nothing."""

    duplicates: float = 0.0
    reordering: float = 0.0
    delays: float = 0.0
    delay_s: float = 10.0
    loss_before_confirm: float = 0.0
    confirm_lost: float = 0.0
    reply_lost: float = 0.0
    objects_reply_lost: float = 0.0
    partial_failures: float = 0.0
    conflicts: float = 0.0
    search_lag_s: float = 1.0
    slow_s: float = 0.0

    def reaches(self, node: str, part: str) -> bool:
        """Whether a node can talk to a part."""
        if not self.down and not self.cut:
            return True
        if part in self.down:
            self.effects[f"down:{part}"] += 1
            return False
        if (node, part) in self.cut:
            self.effects[f"cut:{node}:{part}"] += 1
            return False
        return True

    def full(self, disk: str) -> bool:
        """Whether a disk takes nothing more."""
        if disk in self.full_disks:
            self.effects[f"disk_full:{disk}"] += 1
            return True
        return False

    def strikes(self, kind: str, rng: random.Random) -> bool:
        """Whether what happens with a probability happens now."""
        chance: float = getattr(self, kind)
        if chance and rng.random() < chance:
            self.effects[kind] += 1
            return True
        return False
