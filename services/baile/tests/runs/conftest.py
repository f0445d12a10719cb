"""Jobs as tests see them from the other side: asked for, run, ended with a result in the object storage."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from studio9_common.bus.port import Queue
from studio9_common.contracts.envelope import Envelope, decode, encode
from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.messages import (
    JobAccepted,
    JobCancel,
    JobCompleted,
    JobEnded,
    JobEvent,
    JobQueued,
    JobRequested,
    JobStarted,
    Message,
)
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_common.times import format_time
from studio9_task.pictures import PictureRecord
from studio9_task.results import PredictedBox, PredictedPicture

from ..conftest import png_of
from ..templates import STAGES, Stage

REQUESTS = Queue("test.workers.v1", (JobRequested.routing_key, JobCancel.routing_key))


class Workers:
    """What Orion, a worker and a task would do: takes requests from the bus, tells how they go, leaves results."""

    def __init__(self, installation: Any) -> None:
        self._installation = installation
        self._seconds = 0
        self.last: JobEnded

    async def take(self, *, timeout_s: float = 60.0) -> Envelope:
        """The next request or cancel."""
        async with self._installation.bus.consume(REQUESTS.name) as consumer:
            deliveries = await consumer.get(1, timeout_s)
            assert deliveries, "no request came"
            await deliveries[0].ack()
            return decode(deliveries[0].body)

    async def other(self, *known: Envelope) -> Envelope:
        """The next request for another job than these: a request that nobody has accepted yet is made again."""
        while (asked := await self.take()).data.job in {one.data.job for one in known}:
            pass
        return asked

    async def take_all(self, count: int = 0, *, timeout_s: float = 0.3) -> list[Envelope]:
        """Everything that comes until nothing does for `timeout_s`; `count` requests are waited for, a minute long."""
        found: list[Envelope] = []
        async with self._installation.bus.consume(REQUESTS.name) as consumer:
            while deliveries := await consumer.get(100, 60.0 if len(found) < count else timeout_s):
                for delivery in deliveries:
                    await delivery.ack()
                    found.append(decode(delivery.body))
        return found

    def time(self) -> str:
        """A later time at each call."""
        self._seconds += 1
        return format_time(datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self._seconds))

    async def tell(self, request: Envelope, kind: type[JobEvent], **data: Any) -> JobEvent:
        """Publishes an event about a requested job."""
        asked = request.data
        assert isinstance(asked, JobRequested)
        head = {"job": asked.job, "kind": asked.spec.kind, "context": asked.context, "time": self.time()}
        message = kind(**{**head, **data})
        await self.publish(message, request.organisation)
        return message

    async def publish(self, message: Message, organisation: str) -> None:
        await self._installation.bus.publish(
            encode(message, source="orion", organisation=organisation, mandatory=False)
        )

    async def start(self, request: Envelope) -> None:
        await self.tell(request, JobAccepted, state="submitted")
        await self.tell(request, JobQueued, attempt=0)
        await self.tell(request, JobStarted, attempt=1, worker="w1")

    async def pictures(self, request: Envelope) -> dict[str, list[PictureRecord]]:
        """The pictures of a job's inputs, as its task would find them."""
        assert isinstance(request.data, JobRequested)
        found = {}
        for one in request.data.spec.inputs:
            if one.kind == "pictures":
                content = await self._installation.objects.get(one.ref.key)
                assert hashlib.sha256(content).hexdigest() == one.ref.sha256
                found[one.name] = [PictureRecord.model_validate_json(line) for line in content.splitlines()]
        return found

    async def end(self, request: Envelope, kind: type[JobEnded], *, publish: bool = True, **data: Any) -> JobEnded:
        """One of the three ends."""
        asked = request.data
        assert isinstance(asked, JobRequested)
        created, started, ended = self.time(), self.time(), self.time()
        message = kind(
            **{
                "job": asked.job, "kind": asked.spec.kind, "context": asked.context, "time": ended, "attempt": 1,
                "fence": 1, "state": kind.routing_key.removeprefix("job."), "created_at": created,
                "started_at": started, "ended_at": ended, **data,
            }
        )  # fmt: skip
        self.last = message
        if publish:
            await self.publish(message, request.organisation)
        return message

    async def complete(
        self,
        request: Envelope,
        *,
        without: tuple[str, ...] = (),
        more: tuple[tuple[str, str, bytes], ...] = (),
        result: Mapping[str, Any] | None = None,
        **data: Any,
    ) -> JobEnded:
        """The job completes: its task found every box, and one that is not there on the first picture of each input.
        Pictures named in `without` could not be decoded; `more` are further outputs (artifact, name, content), `result`
        is what the task's result has besides."""
        asked = request.data
        assert isinstance(asked, JobRequested)
        prefix = f"{request.organisation}/jobs/{asked.job}/1/outputs"
        inputs = await self.pictures(request)
        lines = [
            seen(name, record, extra=number == 0).model_dump_json(exclude_none=True)
            for name, records in inputs.items()
            for number, record in enumerate(records)
            if record.filename not in without
        ]
        outputs = [
            ("predictions", "predictions.jsonl", "".join(f"{line}\n" for line in reversed(lines)).encode()),
            ("result", "result.json", json.dumps(result_of(asked.spec.kind, inputs) | dict(result or {})).encode()),
            *more,
        ]
        if asked.spec.kind == "train":
            outputs.append(("model", "model.pt", f"weights of {asked.job}".encode()))
        files = []
        for artifact, name, content in outputs:
            info = await self._installation.objects.put(f"{prefix}/{name}", content)
            assert info.sha256 is not None
            media = "image/png" if artifact == "picture" else "application/octet-stream"
            files.append(
                ManifestFile(
                    name=name, key=info.key, sha256=info.sha256, size=info.size, artifact=artifact, media_type=media
                )
            )
        manifest = AttemptManifest(
            organisation=request.organisation, job=asked.job, attempt=1, fence=1, kind=asked.spec.kind,
            commit="abc1234", image_digest="sha256:feed",
            files=tuple(files),
        )  # fmt: skip
        body = manifest.model_dump_json().encode()
        info = await self._installation.objects.put(f"{request.organisation}/jobs/{asked.job}/1/manifest.json", body)
        ref = ObjectRef(key=info.key, sha256=info.sha256 or "", size=info.size)
        return await self.end(request, JobCompleted, manifest=ref, **data)


def seen(name: str, record: PictureRecord, *, extra: bool) -> PredictedPicture:
    """What a perfect detector with one delusion sees."""
    true = [
        PredictedBox(
            label=box.label, confidence=max(0.1, 0.9 - 0.01 * n), left=box.left, top=box.top, width=box.width,
            height=box.height, index=n,
        )
        for n, box in enumerate(record.boxes)
    ]  # fmt: skip
    if extra:
        true.append(PredictedBox(label="ship", confidence=0.3, left=1, top=1, width=3, height=3, index=len(true)))
    return PredictedPicture(
        picture_id=record.picture_id, input=name, sha256=record.sha256, width=record.width, height=record.height,
        boxes=tuple(true),
    )  # fmt: skip


def result_of(kind: str, inputs: dict[str, list[PictureRecord]]) -> dict[str, Any]:
    """A result with figures for each labelled input: two labels, one false detection, one miss."""

    def figures(name: str) -> dict[str, Any]:
        return {
            "input": name, "pictures": 2, "boxes": 3, "predicted": 3, "labels": ["buoy", "ship"], "map50": 0.75,
            "map50_95": 0.5, "recall_at_025": 0.9, "precision_at_025": 0.8, "per_class": [],
            "confusion": {"labels": ["buoy", "ship"], "matrix": [[0, 0, 1], [0, 2, 0], [0, 1, 0]]},
        }  # fmt: skip

    timings = {"data_loading_s": 1.2, "training_s": 70.4, "prediction_s": 3.0, "total_s": 75}
    head = {"schema": 1, "kind": kind, "framework": "yolo", "labels": ["buoy", "ship"], "timings": timings}
    if kind == "predict":
        return {**head, "pictures": 1, "pictures_without": 0, "boxes": 1}
    if kind == "evaluate":
        return {**head, "test": figures("test")}
    found = {name: figures(name) for name in inputs}
    return {
        **head, "architecture": "YOLO11N", "head": "YOLO_HEAD", "pictures": 2, "boxes": 3, "epochs": 3,
        "epochs_done": 3, **found,
    }  # fmt: skip


@pytest.fixture
async def workers(installation: Any) -> Workers:
    """The other side of the bus."""
    await installation.bus.declare(REQUESTS)
    return Workers(installation)


async def make_albums(installation: Any, _: None) -> dict[str, str]:
    """A train and a test album with two labelled pictures each, one without labels and one without pictures."""
    made, ana = dict[str, str](), installation.signed_in("ana")
    for number, name in enumerate(("train", "test", "plain", "empty")):
        made[name] = (await ana.ok("POST", "/albums", {"name": name, "labelMode": "LOCALIZATION"}))["id"]
        for picture in () if name == "empty" else ("one", "two"):
            await ana.upload(made[name], f"{name}_{picture}", png_of(64, 48, (number, len(picture), ord(picture[0]))))
        if name in ("train", "test"):
            rows = f"{name}_one,ship,10,10,30,30\n{name}_one,ship,1,1,9,9\n{name}_two,buoy,5,5,15,20\n"
            files = {"file": ("labels.csv", rows.encode(), "text/csv")}
            await ana.ok("POST", f"/albums/{made[name]}/uploadLabels", files=files)
    await ana.http.aclose()
    return made


STAGES["albums"] = Stage("populated", make_albums)


@pytest.fixture
def at_albums() -> None:
    """For tests whose database has albums."""


@pytest.fixture
def albums(ana: Any, at_albums: None, made: Callable[[str], Any]) -> dict[str, str]:
    """A train and a test album with two labelled pictures each, one without labels and one without pictures."""
    return dict(made("albums"))


def experiment_body(albums: dict[str, str], name: str = "Ships v1", **step: Any) -> dict[str, Any]:
    """A one-step detector experiment as the form posts it."""
    step1 = {
        "architecture": "YOLO11N", "featureExtractorParams": {}, "tuneFeatureExtractor": False,
        "modelType": {"tlType": "LOCALIZATION", "detectorType": "YOLO_HEAD"}, "params": {"epochs": 3},
        "input": albums["train"], "testInput": albums["test"], "augmentationOptions": None,
        "trainParams": {"inputSize": {"width": 192, "height": 192}, "defaultVisualThreshold": 0.3,
                        "iouThreshold": 0.45, "loi": [{"label": "ship", "threshold": 0.4}],
                        "featureExtractorLearningRate": 1e-4, "modelLearningRate": 1e-4},
    }  # fmt: skip
    return {"name": name, "description": None, "type": "CVTLTrain", "pipeline": {"step1": {**step1, **step}}}


@pytest.fixture
def experiment() -> Callable[..., dict[str, Any]]:
    """Makes the body of an experiment."""
    return experiment_body


async def make_model(installation: Any, albums: dict[str, str]) -> str:
    """A trained model, saved in the library."""
    ana, workers = installation.signed_in("ana"), Workers(installation)
    await installation.bus.declare(REQUESTS)
    made = await ana.ok("POST", "/experiments", experiment_body(albums))
    await workers.complete(await workers.take())
    async with asyncio.timeout(120):
        while True:
            found = await ana.ok("GET", f"/experiments/{made['id']}")
            if found["status"] == "COMPLETED":
                break
            await asyncio.sleep(0.01)
    step = found["result"]["step1"]
    await ana.ok("POST", f"/cv-models/{step['cvModelId']}/save", {"name": "Ships"})
    await ana.http.aclose()
    return str(step["cvModelId"])


STAGES["model"] = Stage("albums", make_model)


@pytest.fixture
def at_model() -> None:
    """For tests whose database has a model."""


@pytest.fixture
def model(albums: dict[str, str], at_model: None, made: Callable[[str], Any]) -> str:
    """A trained model, saved in the library."""
    return str(made("model"))
