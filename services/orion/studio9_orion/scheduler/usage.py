"""Decayed use of slots per class and organisation: what fair share is measured by.

Use is slot-seconds divided by the organisation's weight. It counts while somebody else waits in the same class: nobody
pays for slots that nobody else wanted. Whoever comes anew brings neither credit nor debt: it begins between those that
are there, and a class in which nobody was begins at nothing (docs/decisions/0008).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from studio9_orion.scheduler.model import Share, Shares

HALF_LIFE_S = 3_600.0
FORGOTTEN = 0.001
"""Less than this is nothing."""

Active = Mapping[str, Collection[str]]
"""By class: the organisations in it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Use as of a moment (seconds since the epoch)."""

    at: float = 0.0
    values: Mapping[Share, float] = field(default_factory=dict)

    def later(
        self,
        at: float,
        spent: Mapping[Share, float],
        waiting: Active,
        shares: Shares,
        *,
        half_life_s: float = HALF_LIFE_S,
    ) -> "Usage":
        """The use at a later moment: `spent` are the slot-seconds in between, while these were `waiting`. What has
        decayed away is dropped."""
        passed = max(at - self.at, 0.0)
        decay = 0.5 ** (passed / half_life_s)
        values = {key: value * decay for key, value in self.values.items()}
        for key, seconds in spent.items():
            others = waiting.get(key[0], ())
            if len(others) > (key[1] in others):
                values[key] = values.get(key, 0.0) + seconds / shares.weight_of(key[1])
        return Usage(at, {key: value for key, value in values.items() if value > FORGOTTEN})

    def joined(self, before: Active, now: Active) -> "Usage":
        """The use after organisations came: those that are active `now` and were not `before`."""
        values = dict(self.values)
        for name, organisations in now.items():
            there = before.get(name, ())
            new = [one for one in organisations if one not in there]
            if not new:
                continue
            known = [values.get((name, one), 0.0) for one in there if one in organisations]
            low, high = (min(known), max(known)) if known else (0.0, 0.0)
            for one in new:
                values[name, one] = min(max(values.get((name, one), 0.0), low), high)
        return Usage(self.at, values)
