"""Supervision: beats and results from workers, in batches.

A batch of beats is one bulk read of the jobs, one bulk write of the beats' documents, one of the jobs that moved (few),
then the leases. Beats are noted before the jobs move, so that a job never runs without a lease that holds; the first
beat of an attempt is noted when its job moves, which a result that comes at once saves.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from studio9_common.bus.port import Bus, Delivery, Outgoing
from studio9_common.contracts.collections import WORKERS
from studio9_common.contracts.envelope import SYSTEM, encode
from studio9_common.contracts.job import Job, Phase
from studio9_common.contracts.messages import (
    AttemptBeat,
    JobProgress,
    Lease,
    WorkerBeat,
    WorkerLease,
    WorkerResult,
)
from studio9_common.times import format_time
from studio9_orion.beats import Beats, Heard
from studio9_orion.core import decide, lease_for
from studio9_orion.core.events import Beat, ResultReceived
from studio9_orion.gatherer import Gatherer
from studio9_orion.machines import Machines
from studio9_orion.reports import report_of
from studio9_orion.shell import Shell, Told
from studio9_orion.store import put_many
from studio9_orion.traces import job_trace, traceparent_of
from studio9_orion.workers import Worker, Workers, seen

BEATS_EVERY_S = 0.2
"""Least time between two batches of beats: the first is taken at once, those that follow gather meanwhile. That is
little beside a lease, and a batch costs about the same for one beat as for ten."""
RESULTS_EVERY_S = 0.1
"""The same between two batches of results: where many short jobs end, one write does for those of a moment."""
RECENT_S = 1.0
"""How old what is known of a job may be when a beat is answered by it."""
BEGIN_AFTER_S = 0.5
"""How long it may take until a job is shown as starting or running: an attempt that ends before needs one write less.
Nothing is decided by it meanwhile; the next beat says it again."""
REMEMBERED = 20_000
"""Attempts whose last progress is remembered, so that only what changed is published."""


class Supervisor:
    """The handlers of `orion.beats.v1` and `orion.results.v1`. `on_workers` hears of workers as they show up here."""

    def __init__(
        self, shell: Shell, bus: Bus, beats: Beats, workers: Workers, on_workers: Callable[[list[Worker]], None]
    ) -> None:
        self._shell, self._bus, self._beats, self._workers = shell, bus, beats, workers
        self._on_workers = on_workers
        self._machines = Machines(shell.jobs.store)
        self._progress: OrderedDict[tuple[str, int], object] = OrderedDict()
        self._beginning: Gatherer[Told] = Gatherer("beginning", self._begin, pause_s=BEGIN_AFTER_S)
        self._first: dict[Told, Heard] = {}
        """The beats by which attempts begin."""
        self.heard = 0
        """Beats handled since the start; a sweep sees by it whether Orion can hear."""

    def start(self) -> None:
        self._beginning.start()

    async def stop(self) -> None:
        await self._beginning.stop()

    async def handle_beats(self, deliveries: Sequence[Delivery]) -> None:
        """Raises Unavailable while the store is away, BadMessage for what can never be read."""
        loop = asyncio.get_running_loop()
        until = loop.time() + BEATS_EVERY_S
        await self.take_beats([report_of(delivery, WorkerBeat) for delivery in deliveries])
        for delivery in deliveries:
            await delivery.ack()
        await asyncio.sleep(until - loop.time())

    async def take_beats(self, beats: Sequence[WorkerBeat]) -> None:
        """Notes, applies and answers beats. Of several from one worker only the newest is answered."""
        newest = {(beat.worker, beat.instance): beat for beat in sorted(beats, key=lambda beat: beat.sequence)}
        shown = [(beat, attempt) for beat in newest.values() for attempt in beat.attempts]
        found = await self._shell.jobs.load_recent((a.job for _, a in shown), within_s=RECENT_S)
        # Only now: an Orion that froze while it read would note a lease that is over, in the place of a newer one.
        now = self._shell.clock.now()
        time = format_time(now)
        jobs = {id: one.job for id, one in found.items()}
        until = format_time(now + timedelta(seconds=self._shell.policy.lease_s))
        current: list[tuple[str, AttemptBeat]] = []
        moving: list[Told] = []
        for beat, attempt in shown:
            if not _known(jobs, attempt):
                continue
            job, told = jobs[attempt.job], (attempt.job, _event(beat, attempt))
            moves = decide(job, told[1], now, self._shell.policy).changed
            later = moves and self._beginning.runs and _only_begins(job, told[1])
            if moves and not later:
                moving.append(told)
            if _counts(job, beat, attempt):
                if later:
                    self._first[told] = Heard(beat.worker, attempt, time, until)
                else:
                    current.append((beat.worker, attempt))
            if later:
                self._beginning.add(told)
        await self._beats.put(current, time, until)
        await put_many(self._shell.jobs.store, WORKERS.name, await self._workers.documents(newest.values(), time))
        jobs |= (await self._shell.apply(moving)).jobs
        answers = [self._lease(beat, jobs) for beat in newest.values()]
        await self._tell(answers, current, jobs, time)
        self.heard += len(beats)
        self._on_workers([seen(beat, time) for beat in newest.values()])
        await self._machines.note(newest.values(), now)

    async def _begin(self, told: Sequence[Told]) -> None:
        """Moves attempts on that have begun, their beats noted first. Where a result was quicker, nothing is left to
        write."""
        now = self._shell.clock.now()
        known = {id: found.job for id, _ in told if (found := self._shell.jobs.written(id)) is not None}
        over = {id for id, job in known.items() if job.ended_at is not None}
        firsts = [(one[0], self._first.pop(one, None)) for one in told]
        heard = [first for id, first in firsts if first is not None and id not in over]
        noted = await self._beats.put_first(heard)
        moving = [
            (id, event)
            for id, event in told
            if id not in known or decide(known[id], event, now, self._shell.policy).changed
        ]
        jobs = {**known, **(await self._shell.apply(moving)).jobs}
        await self._tell([], [(one.worker, one.beat) for one in noted], jobs, format_time(now))

    async def _tell(
        self, answers: list[Outgoing], heard: Iterable[tuple[str, AttemptBeat]], jobs: dict[str, Job], time: str
    ) -> None:
        """Publishes leases, and the progress that (worker, attempt) tell of."""
        changed = list(self._changed_progress(heard, jobs, time))
        outcomes = await self._bus.publish_many(answers + [message for _, _, message in changed])
        for (key, said, _), failure in zip(changed, outcomes[len(answers) :], strict=True):
            if failure is None:  # else the next beat says it again
                self._remember(key, said)

    async def handle_results(self, deliveries: Sequence[Delivery]) -> None:
        """Raises Unavailable while the store is away, BadMessage for what can never be read."""
        loop = asyncio.get_running_loop()
        until = loop.time() + RESULTS_EVERY_S
        results = [report_of(delivery, WorkerResult) for delivery in deliveries]
        await self._shell.apply([(data.job, _result(data)) for data in results])
        for delivery in deliveries:
            await delivery.ack()
        await asyncio.sleep(until - loop.time())

    def _lease(self, beat: WorkerBeat, jobs: dict[str, Job]) -> Outgoing:
        lease_s = self._shell.policy.lease_s
        leases = []
        for attempt in beat.attempts:
            job = jobs.get(attempt.job) if _known(jobs, attempt) else None
            decision = lease_for(job, _event(beat, attempt))
            if decision is not None:
                leases.append(Lease(job=attempt.job, fence=attempt.fence, decision=decision, seconds=lease_s))
        answer = WorkerLease(worker=beat.worker, beat=beat.sequence, leases=tuple(leases))
        identifier = f"lease:{beat.worker}:{beat.instance}:{beat.sequence}"
        now = self._shell.clock.now()
        return encode(answer, source="orion", organisation=SYSTEM, id=identifier, now=now, expires_s=lease_s)

    def _changed_progress(
        self, current: Iterable[tuple[str, AttemptBeat]], jobs: dict[str, Job], time: str
    ) -> Iterable[tuple[tuple[str, int], object, Outgoing]]:
        for worker, beat in current:
            job = jobs.get(beat.job)
            attempt = next((one for one in job.attempts if one.fence == beat.fence), None) if job else None
            told = (beat.progress, beat.remaining_s, beat.epoch, beat.metrics)
            key = (beat.job, beat.fence)
            if job is None or attempt is None or attempt.worker != worker or self._progress.get(key) == told:
                continue
            message = JobProgress(
                job=job.id,
                kind=job.spec.kind,
                parent=job.parent,
                context=job.context,
                time=time,
                attempt=attempt.number,
                fence=beat.fence,
                progress=min(max(beat.progress, 0.0), 1.0),
                remaining_s=beat.remaining_s,
                epoch=beat.epoch,
                epochs=beat.epochs,
                metrics=beat.metrics,
                metrics_step=beat.metrics_step,
            )
            identifier = f"progress:{job.id}:{beat.fence}:{beat.sequence}"
            outgoing = encode(
                message,
                source="orion",
                organisation=job.organisation,
                id=identifier,
                traceparent=traceparent_of(job_trace(job)),
                now=self._shell.clock.now(),
            )
            yield key, told, outgoing

    def _remember(self, key: tuple[str, int], told: object) -> None:
        self._progress[key] = told
        self._progress.move_to_end(key)
        while len(self._progress) > REMEMBERED:
            self._progress.popitem(last=False)


def _known(jobs: dict[str, Job], attempt: AttemptBeat) -> bool:
    """Whether the job is here and belongs to the organisation that the beat names."""
    job = jobs.get(attempt.job)
    return job is not None and job.organisation == attempt.organisation


def _only_begins(job: Job, event: Beat) -> bool:
    """Whether all that a beat changes is that its attempt, assigned or staging before, is so far by now. A checkpoint
    is written down before its beat is answered."""
    return job.phase in {Phase.assigned, Phase.starting} and event.checkpoint is None


def _counts(job: Job, beat: WorkerBeat, attempt: AttemptBeat) -> bool:
    """Whether the attempt is the job's current one, on this worker."""
    return job.ended_at is None and job.fence == attempt.fence and job.attempts[-1].worker == beat.worker


def _event(beat: WorkerBeat, attempt: AttemptBeat) -> Beat:
    return Beat(worker=beat.worker, fence=attempt.fence, phase=attempt.phase, checkpoint=attempt.checkpoint)


def _result(data: WorkerResult) -> ResultReceived:
    return ResultReceived(
        worker=data.worker,
        organisation=data.organisation,
        fence=data.fence,
        outcome=data.outcome,
        reason=data.reason,
        exit=data.exit,
        manifest=data.manifest,
        checkpoint=data.checkpoint,
        children=data.children,
        summary=data.summary,
    )
