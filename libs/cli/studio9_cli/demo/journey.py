"""The journey: pictures and labels, training, evaluation, batch and online prediction, SQL. Everything over HTTP.

What it needs besides Baile's address is handed in as `Surroundings`: how to drop a file into the watched place, how to
run an analyst's SQL, how to see notifications. The demo gives them for the embedded platform, the end-to-end test for
real servers.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio9_cli.demo import waiting
from studio9_cli.demo.api import Api
from studio9_cli.demo.digits import Page
from studio9_cli.demo.show import Show
from studio9_cli.demo.waiting import JourneyFailed

EPOCHS = 16
PICTURE_SIZE = 192
CONFIDENCE = 0.25
SEED = 7


@dataclass(frozen=True, slots=True)
class Sql:
    """The answer to an analyst's query."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What differs between the embedded platform and real servers."""

    drop: Callable[[str, bytes], Awaitable[None]]
    """Puts a file (name, content) where the online job watches."""
    sql: Callable[[str], Awaitable[Sql]]
    """Runs one reading statement as an analyst of this organisation."""
    notifications: Callable[[], Awaitable[int]]
    """How many notifications of finished online batches have been sent so far."""


@dataclass(slots=True)
class Figures:
    """Every figure of a run; nothing in it is computed from anything but the platform's answers."""

    values: dict[str, Any] = field(default_factory=dict)

    def set(self, **values: Any) -> None:
        self.values.update(values)


class Journey:
    """One run. `pages` are the labelled pages by split: train, test, predict, online. `confidence`: from which a box
    is predicted."""

    def __init__(
        self,
        api: Api,
        show: Show,
        pages: dict[str, list[Page]],
        surroundings: Surroundings,
        *,
        epochs: int = EPOCHS,
        confidence: float = CONFIDENCE,
    ) -> None:
        self._api, self._show, self._pages, self._around = api, show, pages, surroundings
        self._epochs, self._confidence = epochs, confidence
        self._suffix = time.strftime("%Y-%m-%d %H:%M:%S")
        self.figures = Figures()
        self.album_ids: dict[str, str] = {}
        """By split, once `albums` has made them."""
        self._model = ""
        self._jobs: list[str] = []

    async def run(self) -> None:
        """All steps after signing in. Raises JourneyFailed or ApiError."""
        await self.albums()
        await self.train()
        await self.predict()
        await self.online()
        await self.query()

    # --- 3: albums, pictures, labels -------------------------------------------------------------------------

    async def albums(self) -> None:
        """Albums with labels: those to train on and to predict by CSV, the test album's by the tagging call."""
        self._show.step(3, "Albums of real handwritten digits, with labels")
        total = sum(len(self._pages[split]) for split in ("train", "test", "predict"))
        done = 0
        limit = asyncio.Semaphore(8)
        pictures: dict[str, dict[str, str]] = {}

        async def upload(split: str, page: Page) -> None:
            nonlocal done
            async with limit:
                made = await self._api.upload_picture(self.album_ids[split], page.path.stem, page.path.read_bytes())
            pictures[split][page.path.stem] = made["id"]
            done += 1
            self._show.bar(done / total, f"{done} of {total} pictures uploaded")

        for split in ("train", "test", "predict"):
            body = {"name": f"Digits {split} {self._suffix}", "labelMode": "LOCALIZATION"}
            self.album_ids[split] = (await self._api.post("/v2.0/albums", body))["id"]
            pictures[split] = {}
            await asyncio.gather(*(upload(split, page) for page in self._pages[split]))
        self._show.end()
        for split in ("train", "predict"):
            await self._api.upload_labels(self.album_ids[split], labels_csv(self._pages[split]))
        for page in self._pages["test"]:
            path = f"/v2.0/albums/{self.album_ids['test']}/pictures/{pictures['test'][page.path.stem]}"
            await self._api.put(path, {"tags": tags(page)})
        tagged = await self._api.get(f"/v2.0/albums/{self.album_ids['train']}/tags")
        counted = sum(item["count"] for item in tagged if item["label"])
        boxes = sum(len(page.boxes) for page in self._pages["train"])
        if counted != boxes:
            raise JourneyFailed(f"the train album has {counted} labels, {boxes} were uploaded")
        self._show.note(f"{total} pictures; {boxes} boxes to train on by CSV, the test album's by tagging")
        self.figures.set(pictures=total, train_boxes=boxes)

    # --- 4, 5: training and evaluation -----------------------------------------------------------------------

    async def train(self) -> None:
        """A training experiment with the test album, followed by its process and by server-sent events."""
        self._show.step(4, f"Training YOLO11n from scratch, {self._epochs} epochs, one thread")
        began = time.monotonic()
        watcher = asyncio.create_task(self._watch())
        try:
            experiment = await self._api.post("/v2.0/experiments", self.experiment())
            process = await waiting.process(self._api, self._show, "experiments", experiment["id"], timeout_s=1800)
            experiment = await waiting.status(self._api, "experiments", experiment["id"], "COMPLETED")
        finally:
            watcher.cancel()
            events = await asyncio.gather(watcher, return_exceptions=True)
        heard = self.figures.values.get("live_epochs", 0)
        if not heard:
            raise JourneyFailed(f"no epoch arrived as a server-sent event ({events[0]!r})")
        self.figures.set(train_seconds=round(time.monotonic() - began, 1), train_job=process["id"])
        self._jobs.append(process["id"])
        await self._evaluation(experiment, process["id"])

    def experiment(self) -> dict[str, Any]:
        """The body that asks for the training."""
        return {
            "name": f"Digits {self._suffix}",
            "type": "CVTLTrain",
            "pipeline": {
                "step1": {
                    "architecture": "YOLO11N",
                    "featureExtractorParams": {},
                    "modelType": {"tlType": "LOCALIZATION", "detectorType": "YOLO_HEAD"},
                    "tuneFeatureExtractor": False,
                    "params": {"epochs": self._epochs, "patience": self._epochs, "seed": SEED},
                    "input": self.album_ids["train"],
                    "testInput": self.album_ids["test"],
                    "trainParams": {
                        "inputSize": {"width": PICTURE_SIZE, "height": PICTURE_SIZE},
                        "defaultVisualThreshold": self._confidence,
                    },
                }
            },
        }

    async def _watch(self) -> None:
        """Prints each epoch as its event arrives."""
        seen: set[int] = set()
        async for event in self._api.events():
            epoch, metrics = event.data.get("metricsEpoch"), event.data.get("metrics") or {}
            if epoch is None or epoch in seen or not metrics:
                continue
            seen.add(epoch)
            self.figures.set(live_epochs=len(seen))
            shown = ", ".join(f"{key.rsplit('/', 1)[-1]} {value:.3f}" for key, value in sorted(metrics.items())[:4])
            self._show.note(f"epoch {epoch}: {shown}")

    async def _evaluation(self, experiment: dict[str, Any], job: str) -> None:
        self._show.step(5, "Evaluation on the test album")
        result = experiment["result"]["step1"]
        self._model = result["cvModelId"]
        evaluation = (await self._api.get(f"/v1/jobs/{job}/result"))["test"]
        rows = [(one["label"], one["boxes"], one["ap50"], one["ap50_95"]) for one in evaluation["per_class"]]
        self._show.table("Average precision by label", ("label", "boxes", "AP50", "AP50-95"), rows)
        confusion = evaluation["confusion"]
        names = [*confusion["labels"], "background"]
        matrix = [(name, *row) for name, row in zip(names, confusion["matrix"], strict=True)]
        self._show.table("Confusion matrix (rows: what is there)", ("", *names), matrix)
        figures = {name: evaluation[name] for name in ("map50", "map50_95", "recall_at_025", "precision_at_025")}
        if abs(result["testSummary"]["mAP"] - figures["map50"]) > 1e-6:
            raise JourneyFailed("the summary's mAP is not the evaluation's")
        self._show.note("  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        self.figures.set(**figures)

    # --- 6: batch prediction ---------------------------------------------------------------------------------

    async def predict(self) -> None:
        """The third album; its output album shows the boxes, and the warehouse gets them."""
        self._show.step(6, "Predicting the third album")
        name = f"Digits predicted {self._suffix}"
        body = {
            "modelId": self._model,
            "name": name,
            "description": None,
            "input": self.album_ids["predict"],
            "outputAlbumName": name,
            "options": {"defaultVisualThreshold": self._confidence},
            "evaluate": False,
        }
        prediction = await self._api.post("/v2.0/cv-predictions", body)
        process = await waiting.process(self._api, self._show, "cv-predictions", prediction["id"], timeout_s=300)
        prediction = await waiting.status(self._api, "cv-predictions", prediction["id"], "DONE")
        await waiting.status(self._api, "albums", prediction["output"], "ACTIVE")
        self._jobs.append(process["id"])
        pictures, boxes = await self._boxes(prediction["output"])
        if pictures != len(self._pages["predict"]):
            raise JourneyFailed(f"{pictures} of {len(self._pages['predict'])} pictures were predicted")
        self._show.note(f"{boxes} boxes on {pictures} pictures")
        self.figures.set(predictions=boxes)

    async def _boxes(self, album: str) -> tuple[int, int]:
        pictures = await self._api.everything(f"/v2.0/albums/{album}/pictures")
        found = [tag for picture in pictures for tag in picture["predictedTags"]]
        if any("confidence" not in tag or "area" not in tag for tag in found):
            raise JourneyFailed("a predicted tag has no confidence or no area")
        return len(pictures), len(found)

    # --- 7: online prediction --------------------------------------------------------------------------------

    async def online(self) -> None:
        """New pictures in the watched place go through Taurus, a worker, the album and the warehouse."""
        self._show.step(7, "Online: new pictures dropped into the watched place")
        before = await self._around.notifications()
        bucket = (await self._api.get("/v2.0/s3buckets"))["data"][0]["id"]
        prefix = f"digits-{time.time_ns()}/"
        name = f"Digits online {self._suffix}"
        body = {
            "name": name,
            "description": None,
            "target": {"id": self._model, "type": "CV_MODEL"},
            "enabled": True,
            "options": {
                "type": "ONLINE_CV_PREDICTION",
                "inputBucketId": bucket,
                "inputImagesPath": prefix,
                "outputAlbumName": name,
            },
        }
        job = await self._api.post("/v2.0/online-jobs", body)
        for page in self._pages["online"]:
            await self._around.drop(f"{prefix}{page.path.stem}.png", page.path.read_bytes())
        wanted = len(self._pages["online"])
        album = job["options"]["outputAlbumId"]

        async def arrived() -> bool:
            found = (await self._api.get(f"/v2.0/albums/{album}/pictures", page=1, page_size=1))["count"]
            self._show.bar(min(1.0, found / wanted), f"{found} of {wanted} pictures predicted")
            return bool(found >= wanted)

        await waiting.until("the online pictures", arrived, timeout_s=240, every_s=0.5)
        self._show.end()
        pictures, boxes = await self._boxes(album)

        async def notified() -> int:
            return max(0, await self._around.notifications() - before)

        notifications = await waiting.until("a notification", notified, timeout_s=60)
        await self._api.put(f"/v2.0/online-jobs/{job['id']}", {"name": name, "enabled": False})
        self._show.note(f"{boxes} boxes on {pictures} pictures, {notifications} notification(s)")
        self.figures.set(online_pictures=pictures, online_predictions=boxes, notifications=notifications)

    # --- 8: the warehouse ------------------------------------------------------------------------------------

    async def query(self) -> None:
        """An analyst's SQL on the prediction table, until everything of this run is loaded."""
        self._show.step(8, "An analyst's SQL on the prediction table")
        model = self._model
        wanted = self.figures.values["predictions"] + self.figures.values["online_predictions"]
        mine = f"model_id = '{model}'"

        async def loaded() -> bool:
            count = int((await self._around.sql(f"SELECT count(*) AS n FROM predictions WHERE {mine}")).rows[0][0])
            self.figures.set(warehouse_rows=count)
            return bool(count >= wanted)

        await waiting.until("the warehouse to hold every prediction", loaded, timeout_s=120, every_s=0.5)
        if self.figures.values["warehouse_rows"] != wanted:
            raise JourneyFailed(f"the warehouse has {self.figures.values['warehouse_rows']} rows for {wanted} boxes")
        summary = await self._around.sql(
            "SELECT source, label, count(*) AS boxes, avg(confidence) AS mean_confidence "
            f"FROM predictions WHERE {mine} GROUP BY source, label ORDER BY source, label"
        )
        self._show.table("Predictions by label", summary.columns, summary.rows)
        origin = await self._around.sql(
            "SELECT picture_filename, label, confidence, label_revision, model_version, job, attempt, "
            f'"commit" FROM predictions WHERE {mine} ORDER BY confidence DESC, prediction_id LIMIT 5'
        )
        rows = [[short(value) for value in row] for row in origin.rows]
        self._show.table("Where five of them come from", origin.columns, rows)
        holes = await self._around.sql(
            f"SELECT count(*) AS n FROM predictions WHERE {mine} AND (picture_version IS NULL OR model_version IS NULL "
            'OR job IS NULL OR "commit" IS NULL)'
        )
        if int(holes.rows[0][0]):
            raise JourneyFailed("there are rows without provenance")


def short(value: Any) -> Any:
    """The end of an id, which is what differs."""
    return f"…{value[-8:]}" if isinstance(value, str) and len(value) > 30 else value


def labels_csv(pages: Sequence[Page]) -> str:
    """The labels CSV of LOCALIZATION albums: filename, label, x-min, y-min, x-max, y-max in pixels."""
    rows = ["filename,label,x-min,y-min,x-max,y-max"]
    for page in pages:
        for box in page.boxes:
            left, top = box.left, box.top
            rows.append(f"{page.path.stem},{box.label},{left},{top},{left + box.width},{top + box.height}")
    return "\n".join(rows) + "\n"


def tags(page: Page) -> list[dict[str, Any]]:
    """The same boxes as the tagging call takes them."""
    return [
        {"label": box.label, "area": {"top": box.top, "left": box.left, "height": box.height, "width": box.width}}
        for box in page.boxes
    ]
