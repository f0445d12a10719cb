"""What a worker is told about each attempt in its beat."""

from typing import Literal

from studio9_common.contracts.job import Job, Phase
from studio9_orion.core import attempts
from studio9_orion.core.events import Beat
from studio9_orion.core.life import OVER

Lease = Literal["keep", "stop", "confirmed"]


def lease_for(job: Job | None, beat: Beat) -> Lease | None:
    """The lease of an attempt, after its beat was applied. None: say nothing, for a job that is not known here.

    `confirmed` once its result is recorded, or once nothing can come of it any more. An attempt that has ended is
    never told to stop while its result may still count.
    """
    if job is None or beat.fence > job.fence:
        return None
    over = "confirmed" if beat.phase == "ended" else "stop"
    attempt = attempts.current(job)
    if beat.fence < job.fence or attempt is None or attempt.worker != beat.worker:
        return "confirmed" if over == "confirmed" else "stop"
    if attempts.reported(attempt):
        return "confirmed"
    if job.phase in OVER:
        return "confirmed" if over == "confirmed" else "stop"
    if beat.phase == "ended":
        return "keep"
    if job.phase is Phase.cancelling or not attempts.is_open(attempt):
        return "stop"
    return "keep"
