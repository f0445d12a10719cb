"""The pure core: `decide(job, event, now, policy)` gives the new job, its commands and the effects, and does nothing.

No I/O, no clock, no randomness: the shell, the sweeper and the simulation all run this same code.
"""

from studio9_orion.core.decide import decide, decide_all
from studio9_orion.core.decision import Answer, Decision
from studio9_orion.core.fold import fold
from studio9_orion.core.leases import lease_for
from studio9_orion.core.policy import Policy

__all__ = ["Answer", "Decision", "Policy", "decide", "decide_all", "fold", "lease_for"]
