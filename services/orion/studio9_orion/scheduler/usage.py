"""Decayed use of slots per organisation, in slot-seconds: what fair share is measured by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

HALF_LIFE_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Usage:
    """Use as of a moment (seconds since the epoch)."""

    at: float = 0.0
    values: Mapping[str, float] = field(default_factory=dict)

    def later(self, at: float, running: Mapping[str, int], *, half_life_s: float = HALF_LIFE_S) -> "Usage":
        """The use at a later moment, `running` jobs having held slots in between. What has decayed away is dropped."""
        passed = max(at - self.at, 0.0)
        if not self.values and not running:
            return Usage(at)
        decay = 0.5 ** (passed / half_life_s)
        values = {name: value * decay for name, value in self.values.items()}
        for name, count in running.items():
            values[name] = values.get(name, 0.0) + count * passed
        return Usage(at, {name: value for name, value in values.items() if value > 0.5})
