"""Planted bugs in the shell, the store and the bus: how decisions become durable and are told."""

import asyncio
from collections.abc import Sequence
from typing import Any

from studio9_cli.simulation.people import ASK_AGAIN_S, Requester
from studio9_cli.simulation.substitutes import Substitute
from studio9_common.clients.aries import BulkItem
from studio9_common.contracts.collections import JOBS, job_document
from studio9_common.contracts.messages import WorkerRun
from studio9_common.errors import Unavailable
from studio9_orion.beats import Beats
from studio9_orion.cleaner import Cleaner
from studio9_orion.core import decide
from studio9_orion.core.events import Assigned
from studio9_orion.core.keeping import attempt_prefix
from studio9_orion.dispatcher import Dispatcher
from studio9_orion.jobs import Jobs
from studio9_orion.orphans import OrphanSweeper
from studio9_orion.scheduler.loop import Scheduler
from studio9_orion.sender import Sender
from studio9_orion.shell import Shell
from studio9_orion.supervisor import Supervisor


def result_failure_swallowed() -> list[Substitute]:
    """Hole 2: what fails while a result is taken is noted nowhere, and the worker is told that all is well."""
    known, lease = Supervisor.handle_results, Supervisor._lease

    async def handle_results(self: Supervisor, deliveries: Sequence[Any]) -> None:
        try:
            await known(self, deliveries)
        except Unavailable:
            return

    def answer(self: Supervisor, beat: Any, jobs: Any) -> Any:
        ended = [one for one in beat.attempts if one.phase == "ended"]
        jobs = {id: job for id, job in jobs.items() if id not in {one.job for one in ended}} if ended else jobs
        made = lease(self, beat, jobs)
        parcel: Any = made.body
        more = [{"job": one.job, "fence": one.fence, "decision": "confirmed", "seconds": 20.0} for one in ended]
        data = parcel.envelope.data
        leases = (*data.leases, *(type(data).model_fields["leases"].annotation.__args__[0](**one) for one in more))
        parcel.envelope = type(parcel.envelope)(
            **{
                name: getattr(parcel.envelope, name)
                for name in ("id", "type", "source", "organisation", "time", "subject", "traceparent")
            },
            data=data.model_copy(update={"leases": leases}),
        )
        return made

    return [(Supervisor, "handle_results", handle_results), (Supervisor, "_lease", answer)]


def acknowledged_before_the_effect() -> list[Substitute]:
    """Hole 3: messages are acknowledged on arrival; a crash or an outage of the store loses them. Whoever asks trusts
    the broker's word, as the original's callers do; ours ask until the job is accepted, which would hide it."""
    known = Dispatcher.handle

    async def handle(self: Dispatcher, deliveries: Sequence[Any]) -> None:
        for delivery in deliveries:
            await delivery.ack()
        try:
            await known(self, deliveries)
        except Unavailable:
            return

    async def request(self: Requester, request: Any, wish: Any) -> None:
        while not await self._send(request, wish):  # noqa: ASYNC110 - it is the trying again that takes time
            await asyncio.sleep(ASK_AGAIN_S)

    return [(Dispatcher, "handle", handle), (Requester, "_request", request)]


def no_supervision_after_restart() -> list[Substitute]:
    """Hole 4: an Orion looks only after jobs that it has written itself since it began."""
    save, due = Jobs.save_many, Jobs.due

    async def save_many(self: Jobs, writes: Any) -> list[bool]:
        mine: set[str] = self.__dict__.setdefault("_mine", set())
        mine |= {job.id for job, _ in writes}
        return await save(self, writes)

    async def mine(self: Jobs, now: str, *, most: int) -> Any:
        async for job in due(self, now, most=most):
            if job.id in self.__dict__.get("_mine", ()):
                yield job

    def mine_alone(_: Beats) -> tuple[tuple[str, int], ...]:
        return ()

    async def silent(self: Beats, now: str, *, most: int) -> Any:
        for job in mine_alone(self):
            yield job

    return [(Jobs, "save_many", save_many), (Jobs, "due", mine), (Beats, "silent", silent)]


def written_without_comparing() -> list[Substitute]:
    """Hole 8: jobs are read, changed and written back, whoever wrote in between."""

    async def save_many(self: Jobs, writes: Any) -> list[bool]:
        items = [BulkItem(action="put", id=job.id, body=job_document(job)) for job, _ in writes]
        if items:
            await self.store.bulk(JOBS.name, items)
        return [True] * len(writes)

    return [(Jobs, "save_many", save_many)]


def cancel_removes_results() -> list[Substitute]:
    """Hole 9: whatever was cancelled loses its objects, also if it had completed."""
    known = Cleaner.remove_objects

    async def remove_objects(self: Cleaner, job: Any, *, with_checkpoint: bool = True) -> dict[str, int]:
        if job.cancel_requested_at is not None:
            for fence in range(1, job.fence + 1):
                await self._objects.delete_prefix(attempt_prefix(job, fence))
        return await known(self, job, with_checkpoint=with_checkpoint)

    return [(Cleaner, "remove_objects", remove_objects)]


def outbox_cleared_before_its_confirm() -> list[Substitute]:
    """Commands leave the outbox when they are handed to the bus, confirmed or not."""
    known = Shell._outcome

    def outcome(self: Shell, job: Any, command: Any, answer: Any) -> Any:
        if command.n:
            self._sent.setdefault(job.id, set()).add(command.n)
            self._clearing.add(job.id)
        return known(self, job, command, answer)

    return [(Shell, "_outcome", outcome)]


def outbox_never_published_again() -> list[Substitute]:
    """What an Orion could not publish before it died is published by nobody."""

    async def republish(self: Shell, ids: Any, before: str) -> int:
        return 0

    return [(Shell, "republish", republish)]


def frozen_scheduler_wakes_up() -> list[Substitute]:
    """The scheduler assigns what it knew when it last looked, and writes over what happened while it was frozen."""
    known = Scheduler._refresh

    async def refresh(self: Any) -> None:
        await known(self)
        before = self.__dict__.setdefault("before", {})
        for id, found in (await self._shell.jobs.load_many(self._view.queue)).items():
            before.setdefault(id, found)

    async def assign(self: Any, assignments: Any) -> int:
        jobs: dict[str, Any] = {}
        for one in assignments:
            found = self.__dict__.get("before", {}).get(one.job) or await self._shell.jobs.load(one.job)
            event = Assigned(worker=one.worker, provider=one.provider, epoch=self._leader.epoch)
            jobs[one.job] = decide(found.job, event, self._shell.clock.now(), self._shell.policy).job
        items = [BulkItem(action="put", id=id, body=job_document(job)) for id, job in jobs.items()]
        if items:
            await self._shell.jobs.store.bulk(JOBS.name, items)
            await self._shell.republish([*jobs], "9999")
        self._took(assignments, jobs)
        return len(items)

    return [(Scheduler, "_refresh", refresh), (Scheduler, "_assign", assign)]


def cleaned_without_removing() -> list[Substitute]:
    """A failure of the object storage ends the cleaning, and nobody looks again."""
    known = Cleaner.remove_objects

    async def remove_objects(self: Cleaner, job: Any, *, with_checkpoint: bool = True) -> dict[str, int]:
        try:
            return await known(self, job, with_checkpoint=with_checkpoint)
        except Unavailable:
            return {}

    async def nothing(self: Any) -> None:
        return None

    return [(Cleaner, "remove_objects", remove_objects), (OrphanSweeper, "sweep", nothing)]


def run_command_lost() -> list[Substitute]:
    """A run command that the broker did not take counts as sent."""
    known = Sender.send

    async def send(self: Sender, orders: Any) -> Any:
        outcomes = await known(self, orders)
        runs = [order.command.type == WorkerRun.type for order in orders]
        return [None if run else outcome for run, outcome in zip(runs, outcomes, strict=True)]

    return [(Sender, "send", send)]


def child_failure_not_told() -> list[Substitute]:
    """A parent that wants to fail with its children never hears of their failure."""

    async def tell_related(self: Shell, ended: Any) -> None:
        await self.check_related(await self.jobs.related_to([one.job for one in ended]))

    return [(Shell, "tell_related", tell_related)]


def retried_from_nothing() -> list[Substitute]:
    """A job that is tried again begins anew instead of going on from the last checkpoint."""

    async def checkpoints(self: Dispatcher, requests: Any) -> dict[str, Any]:
        return {}

    return [(Dispatcher, "_checkpoints", checkpoints)]


def limits_read_once() -> list[Substitute]:
    """The scheduler keeps to the limits that it knew when it began, whatever operators set since."""
    known = Scheduler._shares

    def shares(self: Any, now: Any) -> Any:
        rules = self.__dict__.setdefault("_first_rules", self._rules())
        current, self._rules = self._rules, lambda: rules
        try:
            return known(self, now)
        finally:
            self._rules = current

    return [(Scheduler, "_shares", shares)]


PLANTS = (
    limits_read_once,
    child_failure_not_told,
    retried_from_nothing,
    result_failure_swallowed,
    acknowledged_before_the_effect,
    no_supervision_after_restart,
    written_without_comparing,
    cancel_removes_results,
    outbox_cleared_before_its_confirm,
    outbox_never_published_again,
    frozen_scheduler_wakes_up,
    cleaned_without_removing,
    run_command_lost,
)
