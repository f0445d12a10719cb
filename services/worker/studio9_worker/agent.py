"""The agent: takes what Orion sends, keeps one life per attempt, beats, and never decides alone what Orion decides."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Literal

from studio9_common.contracts.messages import WorkerCancel, WorkerDrain, WorkerLease, WorkerResult, WorkerRun
from studio9_common.contracts.reasons import reason
from studio9_common.tasks import end
from studio9_worker.admission import Verdict, judge
from studio9_worker.context import Context
from studio9_worker.lease import AttemptKey, Leases, answered, given_up, granted, released
from studio9_worker.life import AttemptLife
from studio9_worker.records import AttemptRecord, Seen
from studio9_worker.slots import Slots
from studio9_worker.turns import Turns

DRAIN = "drain"
"""The fact that holds the last order to drain or resume: its time, and what it says."""
AGAIN_S = 5.0
"""Before a life that failed through us is begun again from what is written down."""


class Agent:
    """The attempts on this worker. `changed` is set when a beat should tell something new."""

    def __init__(self, context: Context, slots: Slots) -> None:
        self.context = context
        self.slots = slots
        self.machine: Mapping[str, float] = {}
        """What beats tell of the machine beside its memory and load."""
        self.leases = Leases()
        self.draining = False
        """Told to take no new job; remembered across restarts."""
        self.changed = asyncio.Event()
        self._lives: dict[AttemptKey, AttemptLife] = {}
        self._by_job: dict[str, dict[int, AttemptLife]] = {}
        """The same by job and fence."""
        self._users: dict[str, AttemptLife] = {}
        """Slot id → the attempt that had it last, whether or not it still does."""
        self._tasks: dict[AttemptKey, asyncio.Task[None]] = {}
        self._admitting = Turns()
        self._reserved: dict[AttemptKey, tuple[str, ...]] = {}
        """The slots of attempts that are being written down."""
        self._log = context.log

    @property
    def lives(self) -> list[AttemptLife]:
        """The attempts that are not forgotten."""
        return list(self._lives.values())

    def occupied(self) -> dict[str, str]:
        """Slot id → job, for the slots in use."""
        reserved = {slot: key.job for key, slots in self._reserved.items() for slot in slots}
        return reserved | {slot: life.record.key.job for slot, life in self._users.items() if life.holds_slot}

    async def recover(self) -> None:
        """Takes up every attempt that an earlier agent left, where it is now."""
        self.draining = _draining(await self.context.state.fact(DRAIN, lambda old: old or ""))
        for record in await self.context.state.attempts():
            self._begin(record, self.context.settings.lease_s)
            self._log.info("attempt_found_again", job=record.key.job, fence=record.key.fence, phase=record.phase)

    # --- what Orion sends ------------------------------------------------------------------------------------------

    async def run(self, message: WorkerRun, organisation: str, traceparent: str | None = None) -> None:
        """Begins an attempt, or refuses it; either is durable when this returns. Raises BusUnavailable."""
        key = AttemptKey(message.job, message.fence)
        async with self._admitting.of(key.job):
            lives = self._by_job.get(key.job, {})
            older = [life for fence, life in lives.items() if fence < key.fence]
            slots = self._slots(message, older)
            verdict = Verdict.accept
            if lives or not slots:  # else whoever writes it down looks at the fences
                seen = await self.context.state.seen(key.job)
                verdict = _judge(key, seen, here=key in self._lives, slot=bool(slots))
            if verdict is Verdict.accept:
                self._reserved[key] = slots
                try:
                    for life in older:
                        await life.stop("superseded")
                    record = AttemptRecord(key, organisation, slots, message, "staging", traceparent=traceparent)
                    seen = await self.context.state.accept(record, self.context.clock.now(), partial(_may, key))
                    verdict = _judge(key, seen, here=False, slot=True)
                    if verdict is Verdict.accept:
                        self._begin(record, message.lease_s)
                finally:
                    del self._reserved[key]
            if verdict is Verdict.accept:
                self._log.info("attempt_accepted", job=key.job, fence=key.fence, slots=slots, organisation=organisation)
                self.changed.set()
            elif verdict is not Verdict.duplicate:
                await self._refuse(message, organisation, verdict)

    def _slots(self, message: WorkerRun, older: list[AttemptLife]) -> tuple[str, ...]:
        """Free slots, or those of the attempt that this one supersedes; empty: there is no room."""
        for life in older:
            if life.holds_slot:
                return life.record.slots
        if self.draining:
            return ()
        taken = {slot for slot, life in self._users.items() if life.holds_slot}
        taken.update(*self._reserved.values())
        return tuple(slot.id for slot in self.slots.fitting(message.spec.requirements, taken))

    async def _refuse(self, message: WorkerRun, organisation: str, verdict: Verdict) -> None:
        key = AttemptKey(message.job, message.fence)
        self._log.info("run_refused", job=key.job, fence=key.fence, why=verdict.value)
        if verdict is Verdict.no_slot:
            await self._answer(message, organisation, "refused")
        elif verdict is Verdict.cancelled:
            await self._answer(message, organisation, "cancelled")
        # Written down after the answer: if the agent dies in between, the command comes again and is answered again.
        await self.context.state.refuse(key, verdict.value, self.context.clock.now())

    async def cancel(self, message: WorkerCancel, organisation: str) -> None:
        """Stops an attempt, or keeps it from ever starting here. Raises BusUnavailable."""
        key = AttemptKey(message.job, message.fence)
        async with self._admitting.of(key.job):
            await self.context.state.bury(key, self.context.clock.now())
            covered = [life for fence, life in self._by_job.get(key.job, {}).items() if fence <= key.fence]
            for life in covered:
                await life.stop("cancelled", message.grace_s)
            if key not in self._lives:
                await self._answer(message, organisation, "cancelled")
        self._log.info("attempt_cancelled", job=key.job, fence=key.fence, here=key in self._lives)

    async def drain(self, message: WorkerDrain) -> None:
        """Takes no new job from now on, or takes them again; of several orders the latest counts. Durable when this
        returns."""
        wish = f"{message.at} {'draining' if message.draining else 'ready'}"
        kept = await self.context.state.fact(DRAIN, lambda old: max(old or "", wish), keep=False)
        self.draining = _draining(kept)
        self._log.info("drain", draining=self.draining)
        self.changed.set()

    async def lease(self, message: WorkerLease) -> None:
        """Applies the answer to a beat."""
        self.leases, orders = answered(self.leases, message)
        for order in orders:
            life = self._lives.get(order.key)
            if life is None:
                continue
            if order.decision == "keep":
                await life.renewed(message.beat)
            elif order.decision == "confirmed" or life.delivered:
                life.confirm()
            else:
                await life.stop("told")

    async def watch(self) -> None:
        """Ends what has been cut off for longer than the grace; the shim does the same for an agent that is dead."""
        now = self.context.clock.monotonic()
        for key in given_up(self.leases, now, self.context.settings.disconnect_grace_s):
            if (life := self._lives.get(key)) is not None:
                await life.stop("cut_off")

    # --- the lives ---------------------------------------------------------------------------------------------------

    def _begin(self, record: AttemptRecord, lease_s: float) -> None:
        key = record.key
        users = dict.fromkeys(self._users[slot] for slot in record.slots if slot in self._users)
        before = [life for life in users if life.holds_slot]
        gpus = tuple(self.slots.devices[slot] for slot in record.slots if slot in self.slots.devices)
        life = AttemptLife(self.context, record, self.changed.set, gpus)
        self._lives[key] = self._by_job.setdefault(key.job, {})[key.fence] = life
        if life.holds_slot:
            self._users.update(dict.fromkeys(record.slots, life))
        self.leases = granted(self.leases, key, lease_s, self.context.clock.monotonic())
        self._tasks[key] = asyncio.create_task(self._live(life, before), name=f"attempt-{key.job}-{key.fence}")

    async def _live(self, life: AttemptLife, before: list[AttemptLife]) -> None:
        """One life to its end; what fails through us (a full disk, most likely) is tried again."""
        key = life.record.key
        for other in before:  # superseded, and on its way out of the slot
            await other.vacated.wait()
        while True:
            try:
                await life.run()
                break
            except Exception:
                self._log.exception("attempt_interrupted", job=key.job, fence=key.fence)
                await asyncio.sleep(AGAIN_S)
        self._log.info("attempt_forgotten", job=key.job, fence=key.fence)
        del self._lives[key], self._tasks[key], self._by_job[key.job][key.fence]
        if not self._by_job[key.job]:
            del self._by_job[key.job]
        self.leases = released(self.leases, key)
        self.changed.set()

    async def stop_tasks(self, within_s: float) -> None:
        """Stops what runs, so that a later attempt goes on from its checkpoint, and waits for the results."""
        running = [life for life in self.lives if life.phase == "running"]
        for life in running:
            await life.stop("shutdown")
        waiting = [asyncio.create_task(life.vacated.wait()) for life in running]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=within_s)
            for one in late:
                one.cancel()

    async def close(self) -> None:
        """Leaves every attempt as it is, to be found again."""
        await end(*self._tasks.values())

    async def _answer(
        self, to: WorkerRun | WorkerCancel, organisation: str, outcome: Literal["refused", "cancelled"]
    ) -> None:
        """A result for an attempt that never began here, said once: the command comes again if it is lost."""
        result = WorkerResult(
            worker=self.context.worker,
            job=to.job,
            organisation=organisation,
            attempt=to.attempt if isinstance(to, WorkerRun) else 0,
            fence=to.fence,
            outcome=outcome,
            reason=reason("no_slot") if outcome == "refused" else None,
        )
        await self.context.publish(result, organisation)


def _judge(key: AttemptKey, seen: Seen, *, here: bool, slot: bool) -> Verdict:
    return judge(key.fence, highest=seen.highest, cancelled=seen.cancelled, here=here, slot=slot)


def _may(key: AttemptKey, seen: Seen) -> bool:
    return _judge(key, seen, here=False, slot=True) is Verdict.accept


def _draining(fact: str) -> bool:
    return fact.endswith(" draining")
