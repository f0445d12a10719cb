"""How fast the platform under test reacts: as in production, or a few times faster, so that a minute shows much."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Pace:
    """Settings by name, and what follows from them. Times are seconds."""

    name: str
    orion: Mapping[str, Any]
    worker: Mapping[str, Any]
    orphan_sweeps_s: float
    """How long after a job's end whatever it used may still be there: two orphan sweeps, here and on the worker."""
    settle_s: float
    """When all is repaired: for how long nothing may end while something is left. What is left then is stuck."""


PRODUCTION = Pace("production", {}, {"threads": 1, "cpu_slots": 8}, orphan_sweeps_s=120, settle_s=300)
HURRIED = Pace(
    "hurried",
    {
        "lease_s": 6.0, "tick_s": 1.0, "orphan_tick_s": 5.0, "assigned_s": 10.0, "cancelling_s": 12.0,
        "cancel_grace_s": 3.0, "related_s": 4.0, "cleaning_s": 5.0, "back_off_s": "0.3,1,2",
    },
    {
        "threads": 1, "cpu_slots": 2, "beat_s": 1.2, "lease_s": 6.0, "poll_s": 0.1, "result_resend_s": 3.0,
        "stop_grace_s": 3.0, "staging_patience_s": 10.0, "upload_patience_s": 60.0, "sweep_s": 5.0,
        "disconnect_grace_s": 120.0,
    },
    orphan_sweeps_s=20,
    settle_s=90,
)  # fmt: skip
