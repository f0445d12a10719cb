"""What a browser with the UI was seen to ask for, asked again: status and shape of every answer, field by field."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio9_common.contracts.messages import JobFailed
from studio9_common.contracts.reasons import reason

from .answers import SHAPES
from .shapes import Album, Error, Experiment, Model, OnlineJob, Picture, Prediction, Shape, check


def requests() -> Iterator[tuple[str, str]]:
    """(page, path with query) of traffic.txt."""
    page = ""
    for line in Path(__file__).with_name("traffic.txt").read_text().splitlines():
        if line.startswith("== "):
            page = line[3:]
        elif line.startswith("GET "):
            yield page, line[4:]


def nulls(value: Any) -> bool:
    """Whether there is a null in an answer; the UI shows it as text, or breaks."""
    if isinstance(value, dict):
        return any(nulls(one) for one in value.values())
    return any(nulls(one) for one in value) if isinstance(value, list) else value is None


@pytest.fixture
async def seeded(ana: Any, workers: Any, albums: dict[str, str], model: str, experiment: Any, until: Any) -> Any:
    """Something for every id of the traffic."""
    trained = (await ana.ok("GET", f"/cv-models/{model}"))["experimentId"]
    step = (await ana.ok("GET", f"/experiments/{trained}"))["result"]["step1"]
    picture = (await ana.ok("GET", f"/albums/{albums['train']}/pictures"))["data"][0]["id"]
    body = {"modelId": model, "name": "Check", "input": albums["test"], "outputAlbumName": "Check", "evaluate": True}
    predicted = await ana.ok("POST", "/cv-predictions", body)
    await workers.complete(await workers.take())
    failed = await ana.ok("POST", "/experiments", experiment(albums, "Failed"))
    await workers.end(await workers.take(), JobFailed, reason=reason("timeout"))
    busy = await ana.ok("POST", "/cv-predictions", {"modelId": model, "name": "Busy", "input": albums["plain"]})
    running = await ana.ok("POST", "/experiments", experiment(albums, "Running"))
    dataset = await ana.ok("POST", "/datasets", {"name": "Notes"})
    await ana.ok("POST", f"/datasets/{dataset['id']}/files", files={"file": ("a/b.txt", b"x", "text/plain")})
    online = await ana.ok("POST", "/online-jobs", ONLINE | {"target": {"id": model, "type": "CV_MODEL"}})
    project = await ana.ok("POST", "/projects", {"name": "Harbour"})
    await ana.ok("POST", f"/projects/{project['id']}/folders", {"path": "a"})

    async def settled() -> bool:
        done = await ana.ok("GET", f"/cv-predictions/{predicted['id']}")
        over = await ana.ok("GET", f"/experiments/{failed['id']}")
        return bool(done["status"] == "DONE" and over["status"] == "ERROR")

    await until(settled)
    return {
        "album": albums["train"], "test_album": albums["test"], "plain_album": albums["plain"],
        "boxes": albums["train"], "new_album": albums["empty"], "picture": picture, "output": step["output"],
        "experiment": trained, "failed": failed["id"], "running": running["id"], "model": model,
        "training": (await ana.ok("GET", f"/experiments/{running['id']}/process"))["id"],
        "prediction": predicted["id"], "busy_prediction": busy["id"],
        "predicting": (await ana.ok("GET", f"/cv-predictions/{busy['id']}/process"))["id"],
        "dataset": dataset["id"], "table": step["probabilityPredictionTableId"], "online": online["id"],
        "online_album": online["options"]["outputAlbumId"], "later": "later",
    }  # fmt: skip


ONLINE = {
    "name": "UI online job", "description": None, "enabled": False,
    "options": {"type": "ONLINE_CV_PREDICTION", "inputBucketId": "local", "inputImagesPath": "images/",
                "outputAlbumName": "UI out album"},
}  # fmt: skip


async def test_every_request_of_every_page(ana: Any, seeded: dict[str, str]) -> None:
    seen = set()
    for page, path in requests():
        if path in seen:
            continue
        seen.add(path)
        answer = await ana.send("GET", re.sub(r"\{(\w+)\}", lambda name: seeded[name[1]], path))
        where, told = re.sub(r"\{\w+\}", "{}", path.partition("?")[0]), f"{page}: GET {path}: {answer.text[:300]}"
        if "undefined" in path or "/{later}" in path:
            # An asset that is not there has no process either, which the contract calls a bad request.
            assert answer.status_code == (400 if path.endswith("/process") else 404), told
            check(Error, answer.json())
            continue
        assert answer.status_code == 200, told
        assert not nulls(answer.json()), told
        try:
            check(SHAPES[where], answer.json())
        except ValueError as error:
            raise AssertionError(f"{told}\n{error}") from error
    assert len(seen) > 90


async def test_every_body_that_the_ui_sends(
    ana: Any, albums: dict[str, str], model: str, png: Any, workers: Any
) -> None:
    async def sent(shape: type[Shape], method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = await ana.ok(method, path, body, **options)
        assert not nulls(answer), answer
        check(shape, answer)
        return answer

    new = {"name": "UI test album", "description": "", "labelMode": "CLASSIFICATION"}
    album = (await sent(Album, "POST", "/albums", new))["id"]
    await sent(Album, "PUT", f"/albums/{album}", {"name": "renamed", "labelMode": "CLASSIFICATION"})
    upload = {"files": {"file": ("pic.png", png(), "image/png")}, "data": {"filename": "pic"}}
    picture = await sent(Picture, "POST", f"/albums/{album}/uploadPicture", **upload)
    labels = {"files": {"file": ("labels.csv", b"pic,ship\n", "text/csv")}}
    await sent(Album, "POST", f"/albums/{album}/uploadLabels", **labels)
    assert (await ana.ok("GET", f"/albums/{album}/pictures/{picture['id']}"))["tags"] == [{"label": "ship"}]
    clone = {"name": "clone", "copyOnlyLabelledPictures": False}
    copied = await sent(Album, "POST", f"/albums/{album}/copy", clone)
    assert await ana.ok("DELETE", f"/albums/{copied['id']}") == {"id": copied["id"]}
    step = {
        "input": album, "modelType": {"tlType": "CLASSIFICATION", "classifierType": "FCN_1LAYER"},
        "tuneFeatureExtractor": False, "params": {}, "trainParams": {}, "augmentationOptions": None,
        "architecture": "VGG16", "featureExtractorParams": {},
    }  # fmt: skip
    one_step = {"name": "UI cvtl onestep", "description": None, "type": "CVTLTrain", "pipeline": {"step1": step}}
    await sent(Experiment, "POST", "/experiments", one_step)
    await sent(Prediction, "POST", "/cv-predictions", {
        "modelId": model, "name": "UI prediction", "description": None, "input": albums["plain"],
        "outputAlbumName": "UI prediction", "options": None, "evaluate": False,
    })  # fmt: skip
    online = await sent(OnlineJob, "POST", "/online-jobs", ONLINE | {"target": {"id": model, "type": "CV_MODEL"}})
    change = {"name": "UI online job", "description": None, "enabled": False}
    await sent(OnlineJob, "PUT", f"/online-jobs/{online['id']}", change)
    content = (await ana.http.get(await ana.ok("GET", f"/cv-models/{model}/export"))).content
    await sent(Model, "POST", "/cv-models/import", files={"file": ("model.bin", content)}, data={"name": "UI model"})
