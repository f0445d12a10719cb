"""What a browser with the Salsa UI was seen to send, played in its order against a platform with the real trainers."""

import asyncio
import importlib
import io
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from PIL import Image

from studio9_cli.demo import runner, waiting
from studio9_cli.demo.api import Api
from studio9_cli.demo.digits import Split, scans
from studio9_cli.demo.runner import DemoOptions
from studio9_cli.platform.operators import Operators
from studio9_cli.platform.state import StateFolder
from studio9_cli.project import root

DIGITS, SIDE = ("0", "1", "4"), 32
PICTURES: dict[str, tuple[Split, int]] = {
    "album": ("train", 48),
    "test_album": ("test", 15),
    "plain_album": ("predict", 6),
}
LIMIT_S = 300.0
STEP = {"tuneFeatureExtractor": False, "params": {}, "trainParams": {}, "augmentationOptions": None}
CLASSIFIER = {"tlType": "CLASSIFICATION", "classifierType": "FCN_1LAYER"}
AUTOENCODER = {"architecture": "STACKED_AUTOENCODER", "featureExtractorParams": {}}


def contract() -> tuple[ModuleType, ModuleType]:
    """The shapes of answers that the contract replay compares with, and which of them each route gets."""
    package = ModuleType("salsa")
    package.__path__ = [str(root() / "services/baile/tests/runs/salsa")]
    sys.modules[package.__name__] = package
    return importlib.import_module("salsa.shapes"), importlib.import_module("salsa.answers")


SALSA, ANSWERS = contract()


def pages() -> list[tuple[str, list[str]]]:
    """The pages of the recorded traffic with the paths that each asks for, in its order."""
    found: list[tuple[str, list[str]]] = []
    for line in (root() / "services/baile/tests/runs/salsa/traffic.txt").read_text().splitlines():
        if line.startswith("== "):
            found.append((line[3:], []))
        elif line.startswith("GET "):
            found[-1][1].append(line[4:])
    return found


def digits(split: Split, count: int) -> Iterator[tuple[str, str, bytes]]:
    """(name, label, PNG) of single scanned digits, as many of each label."""
    images, labels = scans(split)
    seen = dict.fromkeys(DIGITS, 0)
    for image, label in zip(images, labels, strict=True):
        if label in seen and seen[label] < count // len(DIGITS):
            seen[label] += 1
            content = io.BytesIO()
            picture = Image.fromarray((255 - image * 255).astype("uint8")).resize((SIDE, SIDE))
            picture.save(content, "PNG")
            yield f"{split}-{label}-{seen[label]}", label, content.getvalue()


@pytest.fixture
async def walk(trainers_python: Path, tmp_path: Path) -> AsyncIterator["Walk"]:
    """A platform of its own with nothing in it, and somebody who signs in."""
    assert trainers_python.name
    folder = tmp_path / "state"
    process, running = await runner.start(DemoOptions(state=folder, port=0))
    assert process is not None
    api = Api(running.baile)
    try:
        async with Operators.of(folder) as operators, httpx.AsyncClient(base_url=f"{running.baile}/v2.0") as http:
            await runner.sign_in(api, operators, StateFolder(folder))
            yield Walk(http, api, await asyncio.to_thread((folder / "demo.json").read_text))
    finally:
        await api.close()
        await asyncio.to_thread(runner.stop, process)


class Walk:
    """One user before the UI. `ids` are what stands for the ids of the traffic, as far as it is there by now."""

    def __init__(self, http: httpx.AsyncClient, api: Api, known: str) -> None:
        self._http, self.api, self._known = http, api, known
        self.ids = {"later": "later"}
        self.seen: set[str] = set()

    async def send(self, shape: Any, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """An answer that must be of a shape."""
        if body is not None:
            options["json"] = body
        answer = await self._http.request(method, path, timeout=60, **options)
        assert answer.status_code in (200, 202), f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        SALSA.check(shape, answer.json())
        return answer.json()

    async def sign_in(self) -> None:
        body = {**httpx.Response(200, text=self._known).json(), "remember": None}
        answer = await self._http.post("/signin", json=body)
        token = answer.json()
        assert token["expires_in"] > 3600, "the UI takes an hour off"
        self._http.headers["Authorization"] = f"Bearer {token['access_token']}"

    async def look(self, page: str, path: str) -> None:
        """Asks as the UI does; status and shape are those of the contract."""
        answer = await self._http.get(re.sub(r"\{(\w+)\}", lambda name: self.ids[name[1]], path), timeout=60)
        told = f"{page}: GET {path}: {answer.status_code} {answer.text[:300]}"
        self.seen.add(path)
        if "undefined" in path or "/{later}" in path:
            assert answer.status_code == (400 if path.endswith("/process") else 404), told
            SALSA.check(SALSA.Error, answer.json())
            return
        assert answer.status_code == 200, told
        shape = ANSWERS.SHAPES[re.sub(r"\{\w+\}", "{}", path.partition("?")[0])]
        if shape is SALSA.Listed[SALSA.Picture] and "{boxes}" not in path:
            shape = SALSA.Listed[SALSA.ClassifiedPicture]
        try:
            SALSA.check(shape, answer.json())
        except ValueError as error:
            raise AssertionError(f"{told}\n{error}") from error

    # --- what the pages do besides asking --------------------------------------------------------------------

    async def dataset(self) -> None:
        self.ids["dataset"] = (await self.send(SALSA.Dataset, "POST", "/datasets", {"name": "Notes"}))["id"]
        files = {"file": ("a.txt", b"x", "text/plain")}
        assert (await self._http.post(f"/datasets/{self.ids['dataset']}/files", files=files)).is_success

    async def albums(self) -> None:
        new = {"name": "UI test album", "description": "", "labelMode": "CLASSIFICATION"}
        for name in ("new_album", *PICTURES):
            self.ids[name] = (await self.send(SALSA.Album, "POST", "/albums", new | {"name": f"UI {name}"}))["id"]
        boxes = new | {"name": "UI boxes", "labelMode": "LOCALIZATION"}
        self.ids["boxes"] = (await self.send(SALSA.Album, "POST", "/albums", boxes))["id"]

    async def pictures(self) -> None:
        for name, (split, count) in PICTURES.items():
            for filename, _, content in digits(split, count):
                await self._upload(self.ids[name], filename, content)
        (filename, label, content), *_ = digits("online", len(DIGITS))
        picture = await self._upload(self.ids["boxes"], filename, content)
        area = {"left": 2, "top": 2, "width": 20, "height": 24}
        path = f"/albums/{self.ids['boxes']}/pictures/{picture}"
        await self.send(SALSA.Picture, "PUT", path, {"tags": [{"label": label, "area": area}]})
        self.ids["picture"] = picture

    async def _upload(self, album: str, filename: str, content: bytes) -> str:
        files = {"file": ("pic.png", content, "image/png")}
        path = f"/albums/{album}/uploadPicture"
        return str((await self.send(SALSA.Picture, "POST", path, files=files, data={"filename": filename}))["id"])

    async def labels(self) -> None:
        for name in ("album", "test_album"):
            rows = "".join(f"{filename},{label}\n" for filename, label, _ in digits(*PICTURES[name]))
            files = {"file": ("labels.csv", rows.encode(), "text/csv")}
            await self.send(SALSA.Album, "POST", f"/albums/{self.ids[name]}/uploadLabels", files=files)
        self.ids["labelled"] = "yes"

    async def train(self, name: str, **steps: Any) -> str:
        body = {"name": name, "description": None, "type": "CVTLTrain", "pipeline": steps}
        self.ids["running"] = str((await self.send(SALSA.Experiment, "POST", "/experiments", body))["id"])
        self.ids["training"] = (await self._process("experiments", self.ids["running"]))["id"]
        return self.ids["running"]

    async def _process(self, kind: str, identifier: str) -> Any:
        return await self.send(SALSA.Process, "GET", f"/{kind}/{identifier}/process")

    async def cancelled(self) -> None:
        step = {"input": self.ids["album"], "modelType": CLASSIFIER, **STEP, **AUTOENCODER}
        self.ids["failed"] = await self.train("UI cancelled", step1=step)
        assert (await self._http.post(f"/processes/{self.ids['training']}/cancel")).is_success

        async def over() -> bool:
            found = await self.send(SALSA.Experiment, "GET", f"/experiments/{self.ids['failed']}")
            return bool(found["status"] == "CANCELLED")

        await waiting.until("the cancelled training", over, timeout_s=LIMIT_S)

    async def one_step(self) -> None:
        step = {"input": self.ids["album"], "modelType": CLASSIFIER, **STEP, **AUTOENCODER}
        await self.train("UI cvtl onestep", step1=step)

    async def one_step_done(self) -> None:
        result = await self.trained(self.ids["running"])
        step = result["step1"]
        self.ids |= {"experiment": self.ids["running"], "model": step["cvModelId"], "output": step["output"],
                     "table": step["probabilityPredictionTableId"]}  # fmt: skip

    async def trained(self, experiment: str) -> Any:
        """The result of a training, once all of it is there."""
        await waiting.status(self.api, "experiments", experiment, "COMPLETED", timeout_s=LIMIT_S)
        return (await self.send(SALSA.Experiment, "GET", f"/experiments/{experiment}"))["result"]

    async def begun_with_a_model(self) -> None:
        step = {"input": self.ids["album"], "testInput": self.ids["test_album"], "modelType": CLASSIFIER, **STEP,
                "featureExtractorModelId": self.ids["model"]}  # fmt: skip
        await self.train("UI cvtl train", step1=step)

    async def begun_with_a_model_done(self) -> None:
        step = (await self.trained(self.ids["running"]))["step1"]
        cells = step["testSummary"]["confusionMatrix"]
        right = sum(cell["count"] for cell in cells if cell.get("actual") == cell.get("predicted"))
        assert sum(cell["count"] for cell in cells) == 15
        assert right > 7, f"{right} of 15 digits of three kinds: it has learned nothing"

    async def predict(self) -> None:
        body = {"modelId": self.ids["model"], "name": "UI prediction", "description": None,
                "input": self.ids["plain_album"], "outputAlbumName": "UI prediction", "options": None,
                "evaluate": False}  # fmt: skip
        made = (await self.send(SALSA.Prediction, "POST", "/cv-predictions", body))["id"]
        self.ids |= {"busy_prediction": made, "predicting": (await self._process("cv-predictions", made))["id"]}

    async def predict_done(self) -> None:
        made = self.ids["prediction"] = self.ids["busy_prediction"]
        found = await waiting.status(self.api, "cv-predictions", made, "DONE", timeout_s=LIMIT_S)
        shown = await self.send(SALSA.Listed[SALSA.ClassifiedPicture], "GET", f"/albums/{found['output']}/pictures")
        assert [len(one["predictedTags"]) for one in shown["data"]] == [1] * 6

    async def online(self) -> None:
        buckets = (await self.send(SALSA.Listed[SALSA.Bucket], "GET", "/s3buckets"))["data"]
        body = {"name": "UI online job", "description": None, "target": {"id": self.ids["model"], "type": "CV_MODEL"},
                "enabled": False, "options": {"type": "ONLINE_CV_PREDICTION", "inputBucketId": buckets[0]["id"],
                "inputImagesPath": "images/", "outputAlbumName": "UI out album"}}  # fmt: skip
        made = await self.send(SALSA.OnlineJob, "POST", "/online-jobs", body)
        self.ids |= {"online": made["id"], "online_album": made["options"]["outputAlbumId"]}
        change = {"name": "UI online job", "description": None, "enabled": False}
        await self.send(SALSA.OnlineJob, "PUT", f"/online-jobs/{made['id']}", change)

    async def model_file(self) -> None:
        address = (await self._http.get(f"/cv-models/{self.ids['model']}/export")).json()
        content = (await self._http.get(address)).content
        files = {"file": ("model.bin", content)}
        await self.send(SALSA.Model, "POST", "/cv-models/import", files=files, data={"name": "UI model"})


Deed = Callable[[Walk], Awaitable[None]]
BEFORE: dict[str, tuple[Deed, set[str]]] = {
    "datasets list": (Walk.dataset, set()),
    "album created": (Walk.albums, set()),
    "experiment create train": (Walk.cancelled, {"labelled"}),
    "experiment cvtl created": (Walk.begun_with_a_model, {"model", "failed"}),
    "experiment cvtl onestep created": (Walk.one_step, {"labelled", "failed"}),
    "play cv created": (Walk.predict, {"model"}),
    "online job created": (Walk.online, {"model"}),
}
"""What a page sends before it asks, and what must be there for it."""
AFTER: dict[str, Deed] = {
    "upload images modal": Walk.pictures,
    "upload labels modal": Walk.labels,
    "experiment cvtl created": Walk.begun_with_a_model_done,
    "experiment cvtl onestep created": Walk.one_step_done,
    "play cv created": Walk.predict_done,
    "cv model import modal": Walk.model_file,
}
MADE = {"running", "training", "busy_prediction", "predicting", "online", "online_album", "new_album", "failed"}
"""What a page that sends something makes itself."""


def needs(page: str, paths: list[str]) -> set[str]:
    """The ids that must be known before a page can be opened."""
    asked = {name for path in paths for name in re.findall(r"\{(\w+)\}", path)}
    if page in BEFORE:
        return (asked - MADE) | BEFORE[page][1]
    return asked | ({"model"} if AFTER.get(page) is Walk.model_file else set())


async def test_the_journey_with_a_real_training_behind_it(walk: Walk) -> None:
    await walk.sign_in()
    left = pages()
    while left:
        later = []
        for page, paths in left:
            if needs(page, paths) - set(walk.ids):
                later.append((page, paths))
                continue
            if page in BEFORE:
                await BEFORE[page][0](walk)
            for path in paths:
                await walk.look(page, path)
            if page in AFTER:
                await AFTER[page](walk)
        assert len(later) < len(left), f"these pages can never be opened: {[page for page, _ in later]}"
        left = later
    assert len(walk.seen) > 90
    listed = (await walk.send(SALSA.Listed[SALSA.ExperimentItem], "GET", "/experiments?order=created"))["data"]
    assert [(one["name"], one["status"]) for one in listed] == [
        ("UI cancelled", "CANCELLED"), ("UI cvtl onestep", "COMPLETED"), ("UI cvtl train", "COMPLETED"),
    ]  # fmt: skip


async def test_two_steps_on_copies(walk: Walk) -> None:
    await walk.sign_in()
    await walk.albums()
    await walk.pictures()
    await walk.labels()
    blurring = {"augmentationType": "BLURRING", "sigmas": [0.5], "bloatFactor": 1}
    more = {"outputName": "More", "augmentations": [blurring], "bloatFactor": 1, "includeOriginalPictures": True}
    made = await walk.send(SALSA.Album, "POST", f"/albums/{walk.ids['boxes']}/augment", more)
    copies = {"augmentations": [blurring], "bloatFactor": 1, "prepareSampleAlbum": True}
    first = {**STEP, **AUTOENCODER, "input": walk.ids["album"], "augmentationOptions": copies,
             "modelType": {"tlType": "AUTOENCODER", "decoderType": "STACKED"}, "params": {"epochs": 2}}  # fmt: skip
    second = {**STEP, "input": walk.ids["album"], "testInput": walk.ids["test_album"], "params": {"epochs": 3},
              "modelType": CLASSIFIER, "tuneFeatureExtractor": True}  # fmt: skip
    experiment = await walk.train("Twice", step1=first, step2=second)
    result = await walk.trained(experiment)
    larger = await walk.send(SALSA.Listed[SALSA.Picture], "GET", f"/albums/{made['id']}/pictures")
    assert sorted(len(one.get("augmentationsApplied", ())) for one in larger["data"]) == [0, 1]
    assert all(len(one["tags"]) == 1 for one in larger["data"])
    (made,) = result["step1"]["augmentationSummary"]
    assert made["augmentation"] == blurring
    assert 40 <= made["count"] < 48, "all but those that were held back to validate"
    sample = await walk.send(
        SALSA.Listed[SALSA.ClassifiedPicture],
        "GET",
        f"/albums/{result['step1']['augmentedSampleAlbum']}/pictures?page_size=100",
    )
    assert (
        sample["count"] == made["count"]
        and sample["data"][0]["augmentationsApplied"][0]["augmentationType"] == "BLURRING"
    )
    assert result["step1"]["summary"]["reconstructionLoss"] > 0
    assert result["step2"]["testSummary"]["labels"] == list(DIGITS)
    model = await walk.send(SALSA.Model, "GET", f"/cv-models/{result['step2']['cvModelId']}")
    assert model["featureExtractorModelId"] == result["step1"]["cvModelId"] and model["status"] == "ACTIVE"
