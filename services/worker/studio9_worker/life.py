"""The life of one attempt on this worker: staging, running, uploading, ended; then its result until it is confirmed.

What an agent could not find out again is written down before the next step (that the task runs, a stop, a checkpoint,
the result), so that the life of an attempt whose agent died goes on where it was. All that is known of the task itself
comes from its folder.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.messages import AttemptBeat, WorkerResult
from studio9_common.contracts.reasons import reason
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id
from studio9_common.tasks import end
from studio9_common.tracing import trace_id_of
from studio9_task.events import Event
from studio9_task.exits import TaskState
from studio9_task.tail import BadEvent, EventReader
from studio9_worker.checkpoints import CheckpointKeeper
from studio9_worker.children import asks
from studio9_worker.collect import Collector, attempt_prefix
from studio9_worker.context import Context
from studio9_worker.endings import Ending, judge_end, stopped
from studio9_worker.failing import StagingFailed
from studio9_worker.launching import launch_of
from studio9_worker.machine import threads_for
from studio9_worker.pump import TelemetryPump
from studio9_worker.records import AttemptPhase, AttemptRecord, StopCause
from studio9_worker.runners.port import RunnerError
from studio9_worker.staging import brings_nothing, disk_reason, stage
from studio9_worker.told import Told
from studio9_worker.traces import PhaseSpans

READ_AT_ONCE = 1_000
"""Events that are read, and folded in, without a pause."""
DRAIN_S = 30.0
"""How long telemetry that is still to be sent keeps a confirmed attempt's folder."""
CANCELLED_PATIENCE_S = 5.0
"""How long a cancelled attempt waits for the object storage: whoever cancels waits for its end."""


class AttemptLife:
    """Begin it with `run` in a task of its own. `on_change` is called when a beat should tell something new; `gpus` are
    the ids of its slots' GPUs."""

    def __init__(
        self, context: Context, record: AttemptRecord, on_change: Callable[[], None], gpus: tuple[str, ...] = ()
    ) -> None:
        self.record = record
        self.told = Told()
        self._context = context
        self._on_change = on_change
        self._gpus = gpus
        self._folder = context.folders.of(record.key)
        self._events = EventReader(self._folder.events)
        self.vacated = asyncio.Event()
        """Set once it needs its slot no longer."""
        self._followed = False
        """Whether all that the task told has been read: it was read after the task was seen to be gone."""
        self._stopping = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._published = asyncio.Event()
        self._checkpoints = CheckpointKeeper(
            context, record.key, self._folder, attempt_prefix(record), record.checkpoint, self._checkpoint_stored
        )
        self._pump = TelemetryPump(context, record)
        self._pumping: asyncio.Task[None] | None = None
        self._spans = PhaseSpans(context, record)
        named = {"job": record.key.job, "fence": record.key.fence, "organisation": record.organisation}
        trace_id = trace_id_of(record.traceparent)
        self._log = context.log.bind(**named, **({} if trace_id is None else {"trace_id": trace_id}))
        if record.stop is not None:
            self._stopping.set()
        if record.phase == "ended":
            self.vacated.set()

    # --- what the agent asks ---------------------------------------------------------------------------------------

    @property
    def phase(self) -> AttemptPhase:
        return self.record.phase

    @property
    def holds_slot(self) -> bool:
        """A result that waits to be confirmed needs no slot."""
        return self.record.phase != "ended"

    def beat(self, sequence: int) -> AttemptBeat:
        """What a beat tells of it."""
        told = self.told
        self._checkpoints.announced(sequence)
        return AttemptBeat(
            job=self.record.key.job,
            organisation=self.record.organisation,
            fence=self.record.key.fence,
            sequence=sequence,
            phase=self.record.phase,
            progress=told.progress,
            remaining_s=told.remaining_s,
            epoch=told.epoch,
            epochs=told.epochs,
            metrics=dict(told.metrics),
            metrics_step=told.metrics_step,
            checkpoint=self._checkpoints.current,
        )

    async def stop(self, cause: StopCause, grace_s: float | None = None) -> None:
        """Ends the task: SIGTERM, the grace (None: the worker's own), SIGKILL. Durable when it returns; an attempt that
        ended is left alone."""
        if self.record.phase == "ended":
            return
        if self.record.stop is None:
            await self._context.state.set_stop(self.record.key, cause)
            self.record = replace(self.record, stop=cause)
        if self.record.phase == "uploading":  # nothing runs; an agent that finds no task must not begin one
            return
        self._stopping.set()
        await self._context.runner.stop(self._folder, grace_s)

    async def renewed(self, beat: int) -> None:
        """Orion has answered a beat, and wants it to go on."""
        if self.record.phase == "running" and self.record.stop is None:
            await self._context.runner.renew(self._folder)
        self._checkpoints.heard(beat)

    @property
    def delivered(self) -> bool:
        """Whether it has ended and its result has reached the broker: who then says `stop` needs no more of it."""
        return self.record.phase == "ended" and self._published.is_set()

    def confirm(self) -> None:
        """The result is durable: clean up and end."""
        self._confirmed.set()

    # --- the life itself -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From where it is to the end. Cancelling leaves the task running and everything written down."""
        self._spans.entered(self.record.phase)
        try:
            result = self.record.result or await self._until_result()
            if not self._followed or self.told.others:
                self._tell()
            self._pump.end(nothing=self._followed and not self.told.others)
            await self._hand_over(result)
            if self._pumping is not None:
                await asyncio.wait([self._pumping], timeout=DRAIN_S)
            await self._clean()
        finally:
            if (pump := self._pumping) is not None:
                self._pumping = None
                await end(pump)
                if not pump.cancelled() and (error := pump.exception()) is not None:
                    self._log.error("telemetry_stopped", exc_info=error)

    def _tell(self) -> None:
        """Begins to send telemetry: a task that has ended at once and told nothing has none."""
        if self._pumping is None:
            self._pumping = asyncio.create_task(self._pump.run(), name=f"telemetry-{self.record.key.job}")

    async def _until_result(self) -> WorkerResult:
        ending = Ending("succeeded")
        try:
            state, ending = await self._task()
            self._enter("uploading", ending.failure)
            result = await self._collect(state, ending)
        except Exception as error:
            self._log.exception("attempt_failed")
            await self._context.runner.stop(self._folder)
            result = self._bare(Ending("failed", reason("internal", f"{type(error).__name__} in the worker")))
        await self._context.state.set_result(self.record.key, result)
        self.record = replace(self.record, phase="ended", result=result)
        self._spans.entered("ended", "" if ending.failure or result.reason is None else result.reason.code)
        self.vacated.set()
        self._context.busy.release(self.record.key)
        self._log.info("attempt_ended", outcome=result.outcome, reason=result.reason and result.reason.code)
        self._on_change()
        return result

    async def _task(self) -> tuple[TaskState, Ending]:
        """Until the task no longer runs, or did not begin."""
        state = await self._context.runner.find(self._folder)
        if state.state == "absent":
            if self.record.stop is not None:
                return state, stopped(self.record.stop)
            if self.record.phase != "staging":
                return state, judge_end(TaskState("lost"), self.told, None)
            ending = await self._begin()
            if ending is not None:
                return state, ending
        if self.record.stop is not None:
            await self._context.runner.stop(self._folder)
        state = await self._follow()
        return state, judge_end(state, self.told, self.record.stop)

    async def _begin(self) -> Ending | None:
        """Stages and starts; the ending if that did not come to a task."""
        settings, spec = self._context.settings_for(self.record.organisation), self.record.run.spec
        if spec.untrusted and not self._context.runner.isolated:
            return Ending("failed", reason("isolation_required"))
        threads = threads_for(spec.requirements.cpus, settings.threads, self._context.busy.now())
        self._context.busy.promise(self.record.key, threads)
        try:
            staging = stage(self._context, self.record, threads)
            request = await (staging if brings_nothing(self.record) else self._unless_stopped(staging))
            if request is None or self._stopping.is_set():
                return stopped(self.record.stop)
            # From here on a stop goes through the shim, which looks for it before it begins.
            launch = launch_of(settings, self.record, self._folder, request, threads, self._gpus)
            await self._context.runner.start(launch)
        except StagingFailed as error:
            return Ending("failed", error.reason)
        except OSError as error:
            await self._context.runner.stop(self._folder)
            return Ending("failed", disk_reason(error, "staging_error"))
        except RunnerError as error:
            return Ending("failed", reason(error.code, error.message))
        self._log.info("task_started", threads=threads)
        return None

    async def _follow(self) -> TaskState:
        state = await self._look()
        runs = state.state == "running"
        if self.record.phase == "staging":
            # That it runs is written down where it does: an end that is there already is found again.
            if runs:
                await self._context.state.set_phase(self.record.key, "running")
            self._enter("running")
        if not runs:
            self._followed = True
            return state
        self._tell()
        uploads = asyncio.create_task(self._checkpoints.run(), name=f"checkpoints-{self.record.key.job}")
        try:
            state = await self._until_gone()
            self._followed = True
            return state
        finally:
            await end(uploads)

    async def _read_events(self) -> None:
        epoch, found = self.told.epoch, READ_AT_ONCE
        while found == READ_AT_ONCE:
            events = await self._context.hop.do(self._read)
            found = len(events)
            for event in events:
                self.told.take(event)
        if self.told.epoch != epoch:
            self._on_change()

    def _read(self) -> list[Event | BadEvent]:
        return self._events.read(READ_AT_ONCE)

    async def _collect(self, state: TaskState, ending: Ending) -> WorkerResult:
        if not self._followed:
            await self._read_events()
        patience_s = self._context.settings.upload_patience_s
        if ending.outcome == "cancelled":
            patience_s = min(patience_s, CANCELLED_PATIENCE_S)
        if ending.outcome != "succeeded" or asks(self.told):
            self._checkpoints.want(self.told.checkpoint)
            await self._checkpoints.upload_wanted(patience_s)
        collector = Collector(self._context, self.record, patience_s)
        return await collector.collect(state, self.told, ending, self._checkpoints.current)

    async def _hand_over(self, result: WorkerResult) -> None:
        """Sends the result until it is confirmed."""
        identifier = new_id()
        while not self._confirmed.is_set():
            try:
                record = self.record
                await self._context.publish(result, record.organisation, id=identifier, traceparent=record.traceparent)
                self._published.set()
                self._on_change()
            except Studio9Error as error:
                self._log.warning("result_not_sent", reason=str(error))
            try:
                async with asyncio.timeout(self._context.settings.result_resend_s):
                    await self._confirmed.wait()
            except TimeoutError:
                continue

    async def _clean(self) -> None:
        await self._until_gone(reading=False)
        await self._context.runner.remove(self.record.key)
        key, folders = self.record.key, self._context.folders
        if not await self._context.hop.do(partial(folders.remove_bare, key)):
            await asyncio.to_thread(folders.remove, key)
        await self._context.state.forget(self.record.key)

    async def _until_gone(self, *, reading: bool = True) -> TaskState:
        """Looks at the task until it does not run, reading what it tells."""
        while True:
            state = await self._look(reading=reading)
            if state.state != "running":
                return state
            await asyncio.sleep(self._context.settings.poll_s)

    async def _look(self, *, reading: bool = True) -> TaskState:
        """How the task is, and then what it has told."""
        state = await self._context.runner.find(self._folder)
        if reading:
            await self._read_events()
            self._checkpoints.want(self.told.checkpoint)
        return state

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _enter(self, phase: AttemptPhase, failure: str = "") -> None:
        self.record = replace(self.record, phase=phase)
        self._spans.entered(phase, failure)
        self._on_change()

    async def _checkpoint_stored(self, checkpoint: ObjectRef) -> None:
        await self._context.state.set_checkpoint(self.record.key, checkpoint)
        self._on_change()

    async def _unless_stopped(self, work: Coroutine[Any, Any, bytes]) -> bytes | None:
        """Awaits the work or a stop, which ends it; what the work gives, None where it was stopped."""
        task = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            await end(stopping, task)

    def _bare(self, ending: Ending) -> WorkerResult:
        record = self.record
        return WorkerResult(
            worker=self._context.worker,
            job=record.key.job,
            organisation=record.organisation,
            attempt=record.run.attempt,
            fence=record.key.fence,
            outcome=ending.outcome,
            reason=ending.reason,
            checkpoint=self._checkpoints.current,
        )
