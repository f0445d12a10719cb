"""The deadline sweep: finds what is due in the store, reads it again in real time, and tells the core.

Deadlines are stored in the jobs, so a restart forgets nothing; any number of Orions may sweep.
"""

from dataclasses import dataclass
from datetime import timedelta

from studio9_common.contracts.job import TERMINAL
from studio9_common.times import format_time
from studio9_orion.beats import Beats, Key
from studio9_orion.core.events import Tick
from studio9_orion.core.life import HELD
from studio9_orion.hearing import Ears, Hearing
from studio9_orion.shell import Shell, Told

BATCH = 200
MOST = 5_000
"""Jobs of one sweep; the rest is the next one's, so that a sweep stays short enough to be told from a pause."""
OUTBOX_AGE_S = 5.0
"""A command that has waited so long was forgotten by whoever wrote it."""


@dataclass(slots=True)
class Swept:
    """What one sweep did: jobs told of their deadlines, those that changed, commands published again."""

    due: int = 0
    changed: int = 0
    republished: int = 0
    deaf: bool = False


class Sweeper:
    """See the module's docstring. `sweep` is called every tick."""

    def __init__(self, shell: Shell, beats: Beats, hearing: Hearing) -> None:
        self._shell, self._beats, self._hearing = shell, beats, hearing

    async def sweep(self) -> Swept:
        """One sweep. Raises Unavailable while the store is away; then it leaves no mark.

        Everything is judged by the time at which the sweep began: an Orion that froze in the middle wakes up with the
        right idea of who was silent then.
        """
        ears = await self._hearing.begin()
        now = format_time(ears.started)
        swept = Swept(deaf=ears.deaf_until is not None and ears.deaf_until > now)
        ids = [job.id async for job in self._shell.jobs.due(now, most=MOST)]
        silent = [key async for key in self._beats.silent(now, most=MOST)]
        wanted = list(dict.fromkeys([*ids, *(job for job, _ in silent)]))
        for start in range(0, len(wanted), BATCH):
            await self._judge(wanted[start : start + BATCH], silent, ears, swept)
        before = format_time(ears.started - timedelta(seconds=OUTBOX_AGE_S))
        unsent = [job.id async for job in self._shell.jobs.unsent(before, most=MOST)]
        for start in range(0, len(unsent), BATCH):
            swept.republished += await self._shell.republish(unsent[start : start + BATCH], before)
        await self._hearing.finish(ears)
        return swept

    async def _judge(self, ids: list[str], silent: list[Key], ears: Ears, swept: Swept) -> None:
        found = await self._shell.jobs.load_many(ids)
        jobs = {id: item.job for id, item in found.items()}
        held = [(job.id, job.fence) for job in jobs.values() if job.phase in HELD]
        heard = await self._beats.heard_until(held)
        told: list[Told] = [
            (job.id, Tick(fence=job.fence, heard_until=heard.get((job.id, job.fence)), deaf_until=ears.deaf_until))
            for job in jobs.values()
        ]
        applied = await self._shell.apply(told, now=ears.started)
        swept.due += len(told)
        swept.changed += sum(decision.changed for decision in applied.decisions)
        await self._beats.delete(
            (id, fence) for id, fence in silent if id in jobs and (jobs[id].fence > fence or jobs[id].state in TERMINAL)
        )
