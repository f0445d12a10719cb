"""The way of a batch from closed to announced. Every step is derived from what is stored, and may be repeated."""

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

from studio9_common.bus.port import Bus, Delivery
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.configuration import StreamConfig
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import TERMINAL, Job
from studio9_common.contracts.messages import JobEvent
from studio9_common.errors import NotFound, PreconditionFailed
from studio9_common.logs import logger
from studio9_common.objects.port import Objects
from studio9_common.streams.port import Streams
from studio9_common.times import Clock, format_time, parse_time
from studio9_common.tracing import Span, Tracer, current_trace, following, nanoseconds, trace_for
from studio9_taurus.claims import ClaimStore, Stored
from studio9_taurus.requests import CONTEXT, request
from studio9_taurus.settings import TaurusSettings


class Batches:
    """Advances batches: on job events, again and again for its own, and for those of lost processes."""

    def __init__(
        self,
        settings: TaurusSettings,
        *,
        store: ClaimStore,
        aries: AriesClient,
        bus: Bus,
        objects: Objects,
        streams: Streams,
        clock: Clock,
        tracer: Tracer,
    ) -> None:
        self._settings, self._store, self._aries, self._bus = settings, store, aries, bus
        self._objects, self._streams, self._clock, self._tracer = objects, streams, clock, tracer
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._log = logger("taurus")

    async def on_event(self, delivery: Delivery) -> None:
        """Handles `job.accepted` and the terminal events of our jobs; those of others are none of our business."""
        envelope = decode(delivery.body)
        data = envelope.data
        if isinstance(data, JobEvent) and CONTEXT in data.context:
            with self._tracer.handling(data.routing_key, envelope.traceparent, job=data.job):
                await self.advance(data.job)

    async def advance(self, id: str) -> str:
        """Takes a batch as far as it can go now; its state then. Raises Unavailable.

        One at a time for each batch, so that two that look at it together do not both announce it.
        """
        async with self._locks.setdefault(id, asyncio.Lock()):
            with following(current_trace() or trace_for(id)):
                return await self._advance(id)

    async def _advance(self, id: str) -> str:
        while True:
            batch = await self._store.find(id)
            if batch is None:
                return "abandoned"
            try:
                after = await self._step(batch)
            except PreconditionFailed:
                continue  # somebody else has advanced it
            if after == batch.state:
                return after

    async def _step(self, batch: Stored) -> str:
        if batch.state in ("notified", "abandoned"):
            return batch.state
        if batch.state == "gathering":
            if not self._stale(batch):
                return batch.state
            self._log.warning("batch_abandoned", batch=batch.id, stream=batch.stream)
            return await self._move(batch, "abandoned")
        job = await self._job(batch)
        if batch.state == "closed":
            if job is None:
                await self._ask(batch)
                return batch.state
            return await self._move(batch, "accepted")
        if batch.state == "accepted":
            if job is None or job.state not in TERMINAL:
                return batch.state
            ended = {"job_state": job.state.value, "ended_at": job.ended_at}
            if job.reason is not None:
                ended["reason"] = job.reason.message
            return await self._move(batch, "ended", **ended)
        await self._announce(batch)
        state = await self._move(batch, "notified")
        self._trace(batch)
        return state

    def _trace(self, batch: Stored) -> None:
        """The span of a whole batch, the first of its trace: from its first picture until it is announced."""
        begin, end = nanoseconds(parse_time(batch.created_at)), nanoseconds(self._clock.now())
        state = str(batch.data["job_state"])
        attributes = {"job": batch.id, "organisation": batch.organisation, "stream": batch.stream, "state": state}
        self._tracer.record(Span(trace_for(batch.id), "batch", begin, end, attributes=attributes))

    async def _job(self, batch: Stored) -> Job | None:
        try:
            return (await self._aries.get_job(batch.id, organisation=batch.organisation))[0]
        except NotFound:
            return None

    async def _ask(self, batch: Stored) -> None:
        config = StreamConfig.model_validate(batch.data["config"])
        claims = [claim for claim in await self._store.of_batch(batch.id) if "sha256" in claim.data]
        wanted = await request(self._objects, batch.id, batch.organisation, config, claims)
        traceparent = trace_for(wanted.job).traceparent
        await self._bus.publish(
            encode(wanted, source="taurus", organisation=batch.organisation, traceparent=traceparent)
        )

    async def _announce(self, batch: Stored) -> None:
        """One notification per batch; a crash before the next write repeats it with the same `job`."""
        config = StreamConfig.model_validate(batch.data["config"])
        body: Mapping[str, Any] = {
            "type": "studio9.predictions.ended.v1",
            "organisation": batch.organisation,
            "stream": batch.stream,
            "job": batch.id,
            "state": batch.data["job_state"],
            "reason": batch.data.get("reason"),
            "pictures": batch.data.get("pictures"),
            "album": config.album,
            "model": config.model,
            "model_version": config.model_version,
            "ended_at": batch.data.get("ended_at"),
        }
        topic = config.topic or self._settings.topic
        if self._settings.create_queues and not topic.startswith("arn:"):
            await self._streams.ensure_topic(topic)
        subject = f"Studio9: {body['pictures']} pictures {body['state']}"
        await self._streams.publish(topic, json.dumps(body), subject=subject, attributes={"stream": batch.stream})

    async def _move(self, batch: Stored, state: str, **data: Any) -> str:
        body = batch.body(state=state, now=format_time(self._clock.now()), **data)
        await self._store.replace(batch.id, body, batch.etag)
        return state

    def _stale(self, batch: Stored) -> bool:
        return batch.updated_at < self._before(self._settings.stale_s)

    def _before(self, seconds: float) -> str:
        return format_time(self._clock.now() - timedelta(seconds=seconds))

    async def sweep_forever(self) -> None:
        """Advances what nobody has touched for a while: lost events, lost processes."""
        while True:
            try:
                for batch in await self._store.unfinished(self._before(self._settings.sweep_s)):
                    await self._look_at(batch.id)
            except Exception as error:
                self._log.warning("sweep_failed", reason=str(error))
            await asyncio.sleep(self._settings.sweep_s)

    async def _look_at(self, id: str) -> None:
        """One batch that cannot be advanced holds up no other."""
        try:
            await self.advance(id)
        except Exception as error:
            self._log.warning("batch_not_advanced", batch=id, reason=str(error))
