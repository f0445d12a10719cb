"""Sends one attempt's telemetry while it runs and what is left of it afterwards."""

import asyncio
from contextlib import suppress

from studio9_common.contracts.messages import WorkerTelemetry
from studio9_common.errors import Unavailable
from studio9_worker.context import Context
from studio9_worker.records import AttemptRecord
from studio9_worker.telemetry import Batch, BatchReader

EVERY_S = 1.0
"""At most one batch in this time while the task runs."""
DRAINING_S = 0.1
"""The same once it has ended: what is left is wanted soon."""
AGAIN_S = 2.0
"""After a broker that is away."""


class TelemetryPump:
    """Publishes batch after batch. The bounds of each are written down first: a repeat has the same id and content."""

    def __init__(self, context: Context, record: AttemptRecord) -> None:
        self._context = context
        self._record = record
        self._batches = BatchReader(context.folders.of(record.key).events, record.cursor)
        self._ended = asyncio.Event()
        self._nothing = False

    def end(self, *, nothing: bool = False) -> None:
        """The task writes nothing more: `run` returns once all is sent. `nothing`: there is nothing to be sent."""
        self._nothing = nothing
        self._ended.set()

    async def run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._ended.wait()
            last = self._ended.is_set()
            if last and self._nothing:
                return
            batch = await self._batches.next()
            if batch is not None:
                await self._context.state.set_cursor(self._record.key, batch.cursor)
                await self._send(batch)
                if last:
                    await asyncio.sleep(DRAINING_S)
            elif last:
                return

    async def _send(self, batch: Batch) -> None:
        message = WorkerTelemetry(
            worker=self._context.worker,
            job=self._record.key.job,
            organisation=self._record.organisation,
            fence=self._record.key.fence,
            sequence=batch.cursor.start,
            items=batch.items,
        )
        while True:
            try:
                # Droppable: where nobody takes telemetry, it is not kept for anyone.
                await self._context.publish(
                    message, self._record.organisation, traceparent=self._record.traceparent, needed=False
                )
                return
            except Unavailable:
                await asyncio.sleep(AGAIN_S)
