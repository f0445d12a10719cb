"""What Baile and Taurus are to the job core: puts inputs into objects, asks on the bus, hears what becomes of it."""

import asyncio
import hashlib
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from studio9_common.bus.port import Bus, BusUnavailable, Queue, Unroutable
from studio9_common.clients.aries import AriesClient
from studio9_common.contracts.collections import TELEMETRY
from studio9_common.contracts.envelope import decode, encode
from studio9_common.contracts.job import TERMINAL, Input, Job, ObjectRef, Phase, Provenance, Requirements, Spec, State
from studio9_common.contracts.messages import JobCancel, JobEvent, JobRequested, Message, TelemetryItem
from studio9_common.contracts.predictions import AttemptManifest
from studio9_common.documents.port import Where
from studio9_common.errors import Studio9Error
from studio9_common.ids import new_id
from studio9_common.objects.port import Objects
from studio9_task.pictures import PictureRecord

M = TypeVar("M", bound=JobEvent)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)
PROVENANCE = Provenance(model_id="m1", model_version="mv1", dataset_version="dv1")


class Requester:
    """One organisation's side of the conversation, an organisation that no other test has."""

    def __init__(self, bus: Bus, objects: Objects, aries: AriesClient, organisation: str | None = None) -> None:
        self.bus, self.objects, self.aries = bus, objects, aries
        self.organisation = organisation or f"org-{uuid.uuid4().hex[:12]}"
        self.heard: dict[str, list[JobEvent]] = defaultdict(list)
        self._queue = Queue(f"test.{self.organisation}.v1", ("job.#",), expires_s=60)
        self._news = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Requester"]:
        await self.bus.declare(self._queue)
        listener = asyncio.create_task(self._listen())
        try:
            yield self
        finally:
            listener.cancel()
            await asyncio.wait([listener])
            with suppress(Studio9Error):
                await self.bus.delete(self._queue.name)

    # --- asking -----------------------------------------------------------------------------------------------------

    def request(self, do: str, *, kind: str = "train", parameters: Mapping[str, Any] | None = None, **spec: Any) -> Any:
        """A request for the task program's `do`; `labels` are what the job asks of a worker."""
        requirements = Requirements(labels=tuple(spec.pop("labels", ())))
        given = {"requirements": requirements} | spec
        if kind == "predict":
            given.setdefault("provenance", PROVENANCE)
        wanted = Spec(kind=kind, parameters={"do": do, **(parameters or {})}, **given)
        return JobRequested(job=new_id(), owner="ana", spec=wanted, context={"experiment": "e1"})

    async def send(self, message: Message, within_s: float = 30) -> None:
        """Publishes, again and again while the broker is away, as an outbox does."""
        async with asyncio.timeout(within_s):
            while True:
                with suppress(BusUnavailable, Unroutable):
                    await self._publish(message)
                    return
                await asyncio.sleep(0.2)

    async def _publish(self, message: Message) -> None:
        await self.bus.publish(encode(message, source="baile", organisation=self.organisation))

    async def submit(self, do: str, **given: Any) -> str:
        """Requests a job; its id. Its scratch holds one object, as staged inputs would."""
        request = self.request(do, **given)
        await self.objects.put(self.scratch(request.job) + "left.txt", b"left over")
        await self.send(request)
        return str(request.job)

    async def cancel(self, job: str) -> None:
        await self.send(JobCancel(job=job, requested_by="ana"))

    async def cancel_until_heard(self, job: str) -> None:
        """As Baile does: a request is sent again until the store shows its effect."""
        for _ in range(30):
            await self.cancel(job)
            with suppress(AssertionError):
                await self.until(job, lambda found: found.cancel_requested_at is not None or found.state in TERMINAL, 1)
                return
        raise AssertionError(f"nobody hears the cancel of {job}")

    def scratch(self, job: str) -> str:
        return f"{self.organisation}/scratch/{job}/"

    async def pictures(self, name: str, *filenames: str) -> Input:
        """An input of pictures, each with bytes of its own."""
        lines = []
        for number, filename in enumerate(filenames):
            content = PNG + filename.encode()
            sha256 = hashlib.sha256(content).hexdigest()
            key = f"{self.organisation}/pictures/{sha256}"
            await self.objects.put(key, content)
            record = PictureRecord(
                picture_id=f"p{number}", version=sha256, sha256=sha256, key=key, filename=filename, size=len(content),
                width=8, height=8, label_revision=f"r{number}",
            )  # fmt: skip
            lines.append(record.model_dump_json(exclude_none=True).encode() + b"\n")
        content = b"".join(lines)
        key = f"{self.organisation}/datasets/{new_id()}/manifest.jsonl"
        await self.objects.put(key, content)
        ref = ObjectRef(key=key, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        return Input(name=name, kind="pictures", ref=ref)

    # --- what became of it ------------------------------------------------------------------------------------------

    async def until(self, job: str, what: Callable[[Job], bool], within_s: float = 30) -> Job:
        """The job as soon as its document is so; the job as it is instead goes into a failure's message."""
        found: Job | None = None
        try:
            async with asyncio.timeout(within_s):
                while True:
                    with suppress(Studio9Error):
                        stored = (await self.aries.get_jobs([job]))[0]
                        found = stored[0] if stored else None
                        if found is not None and what(found):
                            return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            told = "\n".join(f"  {event}" for event in found.events) if found else "  no such job"
            raise AssertionError(f"job {job} is not so after {within_s} s:\n{told}") from None

    async def in_phase(self, job: str, phase: Phase, within_s: float = 30) -> Job:
        return await self.until(job, lambda found: found.phase is phase, within_s)

    async def working(self, job: str, *, epoch: int = 1, fence: int = 1) -> Job:
        """The running job once progress of its task has been heard, and a checkpoint is on the job."""
        await self.event(job, "job.progress", lambda event: (event.epoch or 0) >= epoch and event.fence == fence)
        return await self.until(job, lambda found: found.checkpoint is not None and found.phase is Phase.running)

    async def ended(self, job: str, within_s: float = 30) -> Job:
        return await self.until(job, lambda found: found.state in TERMINAL, within_s)

    async def clean(self, job: str, within_s: float = 30) -> Job:
        """The job at its very end, all said; nothing of its scratch may be left."""
        found = await self.until(job, lambda found: found.phase is Phase.clean and not found.outbox, within_s)
        assert [info.key async for info in self.objects.list(self.scratch(job))] == []
        return found

    async def completed(self, job: str, within_s: float = 30) -> Job:
        found = await self.ended(job, within_s)
        assert found.state is State.completed, found.reason
        return found

    async def event(
        self, job: str, key: str, what: Callable[[Any], bool] = lambda event: True, within_s: float = 30
    ) -> Any:
        """The first event of a job with this routing key that has been heard."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for event in self.heard[job]:
                        if event.routing_key == key and what(event):
                            return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            last = self.heard[job][-1:]
            raise AssertionError(f"no such {key} of {job}, but {self.keys(job)}, at last {last}") from None

    def keys(self, job: str) -> list[str]:
        """The routing keys of what was heard about a job, in order, a repeated one once."""
        keys = [event.routing_key for event in self.heard[job]]
        return [key for n, key in enumerate(keys) if n == 0 or keys[n - 1] != key]

    async def manifest(self, job: Job) -> AttemptManifest:
        """The manifest of its result, checked against the job."""
        assert job.result is not None and job.result.manifest is not None
        ref = job.result.manifest
        content = await self.objects.get(ref.key)
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (ref.sha256, ref.size)
        return AttemptManifest.model_validate_json(content)

    async def telemetry(self, job: str) -> list[TelemetryItem]:
        """All that Aries keeps of what its task told, as its own organisation sees it."""
        found = self.aries.search_all(
            TELEMETRY.name, Where(equals={"job": job}), sort=("fence", "sequence"), organisation=self.organisation,
            fresh=True,
        )  # fmt: skip
        return [TelemetryItem.model_validate(item) async for one in found for item in one.body["items"]]

    async def losses(self, job: str, epochs: int) -> list[int | None]:
        """The steps at which its task told a loss, as soon as there are so many; telemetry may follow the end."""
        steps: list[int | None] = []
        for _ in range(100):
            steps = [item.step for item in await self.telemetry(job) if item.key == "loss"]
            if len(steps) >= epochs:
                break
            await asyncio.sleep(0.1)
        return steps

    async def _listen(self) -> None:
        while True:
            try:
                async with self.bus.consume(self._queue.name) as consumer:
                    while True:
                        for delivery in await consumer.get(64):
                            envelope = decode(delivery.body)
                            if isinstance(envelope.data, JobEvent) and envelope.organisation == self.organisation:
                                self.heard[envelope.data.job].append(envelope.data)
                            await delivery.ack()
                        self._news.set()
            except Studio9Error:  # the broker restarts, or the test has deleted every queue
                await asyncio.sleep(0.2)
                with suppress(Studio9Error):
                    await self.bus.declare(self._queue)
