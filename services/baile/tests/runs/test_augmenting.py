"""An album is augmented by a job; what comes of it is a new album whose pictures know what was done to them."""

import hashlib
from typing import Any

import pytest

from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.messages import JobCompleted, JobFailed
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_common.contracts.reasons import reason
from studio9_task.augmentations import AugmentedRecord, AugmentParameters
from studio9_task.results import AugmentResult
from studio9_task.shapes import Box

STEPS = [{"augmentationType": "MIRRORING", "flipAxes": [0], "bloatFactor": 1},
         {"augmentationType": "ROTATION", "angles": [90.0], "resize": True, "bloatFactor": 1}]  # fmt: skip
BODY = {"outputName": "More", "includeOriginalPictures": True, "bloatFactor": 1, "augmentations": STEPS}


async def complete(workers: Any, installation: Any, request: Any, png: Any) -> None:
    """What the trainers leave: the originals, and one mirrored copy of the first with its box."""
    first, *_ = originals = (await workers.pictures(request))["pictures"]
    content = png(64, 48, (9, 9, 9))
    sha256 = hashlib.sha256(content).hexdigest()
    new = AugmentedRecord.model_validate({
        **first.model_dump(), "picture_id": "new-1", "version": sha256, "sha256": sha256, "size": len(content),
        "filename": f"{first.filename}_MIRRORING", "original_id": first.picture_id,
        "annotations": (Box(label="ship", left=34, top=10, width=20, height=20),),
        "applied": ({"augmentationType": "MIRRORING", "flipAxis": 0, "extraParams": {"shiftX": 2.5}},),
    })  # fmt: skip
    records = [AugmentedRecord.model_validate(one.model_dump()) for one in originals] + [new]
    result = AugmentResult(framework="torch", pictures=2, originals=2, augmented=1, boxes=1, boxes_dropped=0)
    outputs = {
        "manifest.jsonl": ("manifest", "".join(f"{one.model_dump_json(exclude_none=True)}\n" for one in records)),
        f"pictures/{sha256}": ("picture", content), "result.json": ("result", result.model_dump_json()),
    }  # fmt: skip
    prefix, files = f"{request.organisation}/jobs/{request.data.job}/1/outputs", []
    for name, (artifact, body) in outputs.items():
        info = await installation.objects.put(f"{prefix}/{name}", body if isinstance(body, bytes) else body.encode())
        kind = "image/png" if artifact == "picture" else "application/json"
        files.append(ManifestFile(name=name, key=info.key, sha256=info.sha256, size=info.size, artifact=artifact,
                                  media_type=kind))  # fmt: skip
    manifest = AttemptManifest(organisation=request.organisation, job=request.data.job, attempt=1, fence=1,
                               kind="augment", files=tuple(files))  # fmt: skip
    body = manifest.model_dump_json().encode()
    info = await installation.objects.put(f"{request.organisation}/jobs/{request.data.job}/1/manifest.json", body)
    ref = ObjectRef(key=info.key, sha256=info.sha256, size=info.size)
    await workers.end(request, JobCompleted, manifest=ref)


async def test_an_album_becomes_a_larger_one(
    ana: Any, bo: Any, workers: Any, installation: Any, albums: dict[str, str], png: Any, until: Any
) -> None:
    made = await ana.ok("POST", f"/albums/{albums['train']}/augment", BODY)
    assert (made["status"], made["type"], made["name"], made["inLibrary"]) == ("SAVING", "SOURCE", "More", True)
    request = await workers.take()
    assert (request.data.spec.kind, request.data.spec.framework) == ("augment", "torch")
    parameters = AugmentParameters.model_validate(request.data.spec.parameters)
    assert [one.augmentation_type for one in parameters.augmentations] == ["MIRRORING", "ROTATION"]
    process = await ana.ok("GET", f"/albums/{made['id']}/process")
    assert (process["jobType"], process["target"], process["status"]) == ("ALBUM_AUGMENTATION", "ALBUM", "QUEUED")
    await ana.refused(409, "DELETE", f"/albums/{made['id']}")
    await complete(workers, installation, request, png)

    async def active() -> Any:
        found = await ana.ok("GET", f"/albums/{made['id']}")
        return found if found["status"] != "SAVING" else None

    done = await until(active)
    assert done["status"] == "ACTIVE" and set(done["augmentationTimeSpentSummary"]) == {
        "dataLoadingTime", "augmentationTime", "tasksQueuedTime", "totalJobTime", "pipelineDetails",
    }  # fmt: skip
    pictures = (await ana.ok("GET", f"/albums/{made['id']}/pictures?order=fileName"))["data"]
    assert [one["filename"] for one in pictures] == ["train_one", "train_one_MIRRORING", "train_two"] or [
        one["filename"] for one in pictures
    ] == ["train_one", "train_two", "train_two_MIRRORING"]
    (new,) = (await ana.ok("GET", f"/albums/{made['id']}/pictures?augmentations=MIRRORING"))["data"]
    assert new["augmentationsApplied"] == [
        {"augmentationType": "MIRRORING", "flipAxis": 0, "extraParams": {"shiftX": 2.5}, "shiftX": 2.5}
    ], "the UI looks for the values of extraParams beside it, and would print `shiftX: null`"
    assert new["tags"] == [{"label": "ship", "area": {"left": 34, "top": 10, "width": 20, "height": 20}}]
    source = (await ana.ok("GET", f"/albums/{albums['train']}/pictures"))["data"]
    assert new["originalPictureId"] in {one["id"] for one in source}
    assert (await ana.http.get(new["filepath"])).content == png(64, 48, (9, 9, 9))
    assert (await ana.ok("GET", f"/albums/{made['id']}/pictures?augmentations="))["count"] == 2
    await bo.refused(404, "POST", f"/albums/{albums['train']}/augment", BODY)


async def test_a_failed_augmentation(ana: Any, workers: Any, albums: dict[str, str], until: Any) -> None:
    made = await ana.ok("POST", f"/albums/{albums['train']}/augment", BODY)
    await workers.end(await workers.take(), JobFailed, reason=reason("timeout"))

    async def over() -> bool:
        return bool((await ana.ok("GET", f"/albums/{made['id']}"))["status"] == "ERROR")

    await until(over)
    assert "timeout" in (await ana.ok("GET", f"/albums/{made['id']}/process"))["cause"]
    assert await ana.ok("DELETE", f"/albums/{made['id']}") == {"id": made["id"]}


async def test_bad_augmentations(ana: Any, albums: dict[str, str], installation: Any) -> None:
    path = f"/albums/{albums['train']}/augment"
    for change, field in (
        ({"outputName": None}, "outputName"), ({"outputName": " "}, "outputName"),
        ({"outputName": "test"}, "outputName"),
        ({"bloatFactor": 0}, "bloatFactor"), ({"bloatFactor": "x"}, "bloatFactor"),
        ({"augmentations": []}, "augmentations"), ({"augmentations": [{}]}, "augmentations.0"),
        ({"augmentations": [{"augmentationType": "MELTING"}]}, "augmentations.0"),
        ({"augmentations": [STEPS[0] | {"bloatFactor": 0}]}, "augmentations.0.bloatFactor"),
        ({"augmentations": [STEPS[0] | {"flipAxes": [3]}]}, "augmentations.0.flipAxes"),
        ({"augmentations": [STEPS[1] | {"angles": [400]}]}, "augmentations.0.angles"),
    ):  # fmt: skip
        error = await ana.refused(400, "POST", path, {**BODY, **change})
        assert error["errors"][0]["field"].startswith(field) and error["errors"][0]["fix"], error
    assert (await ana.ok("GET", "/albums"))["count"] == 4
    heads = installation.stand_ins.documents["workers"]["w1"]
    await installation.stop()
    installation.stand_ins.documents["workers"]["w1"] = heads | {"catalogue": heads["catalogue"] | {"tasks": []}}
    await installation.start()
    error = await installation.signed_in("ana").refused(400, "POST", path, BODY)
    assert error["message"].startswith("No worker augments albums")


@pytest.fixture
async def stored(ana: Any, installation: Any, png: Any) -> str:
    """The key of a picture that a program has stored, below the organisation's."""
    organisation = installation.baile.core.tokens.read(ana.token).organisation
    await installation.objects.put(f"{organisation}/uploads/one.png", png(30, 20), content_type="image/png")
    return "uploads/one.png"


async def test_stored_pictures_are_registered(ana: Any, bo: Any, albums: dict[str, str], stored: str) -> None:
    path = f"/albums/{albums['plain']}/pictures"
    area = {"left": 1, "top": 2, "width": 10, "height": 10}
    one = {"filepath": stored, "filename": "one", "filesize": 5, "tags": [{"label": "ship", "area": area}]}
    assert await ana.ok("PUT", path, {"pictureMetaList": [one], "keepExisting": True}) == {"id": albums["plain"]}
    assert (await ana.ok("GET", path))["count"] == 3
    await ana.ok("PUT", path, {"pictureMetaList": [one | {"caption": "quay"}], "keepExisting": False})
    (seen,) = (await ana.ok("GET", path))["data"]
    assert (seen["filename"], seen["caption"], seen["tags"]) == ("one", "quay", [{"label": "ship", "area": area}])
    for change, field in (
        ({"filepath": "uploads/nothing.png"}, "filepath"), ({"filepath": "../x"}, "filepath"),
        ({"filename": "a/b"}, "filename"), ({"tags": [{"label": "ship"}]}, "tags.0.area"),
    ):  # fmt: skip
        error = await ana.refused(400, "PUT", path, {"pictureMetaList": [one | change], "keepExisting": True})
        assert field in error["errors"][0]["field"]
    error = await ana.refused(400, "PUT", path, {"pictureMetaList": [], "keepExisting": True})
    assert error["message"].startswith("Pictures not found")
    mine = (await bo.ok("POST", "/albums", {"name": "mine", "labelMode": "LOCALIZATION"}))["id"]
    await bo.refused(400, "PUT", f"/albums/{mine}/pictures", {"pictureMetaList": [one], "keepExisting": True})
    assert (await ana.ok("GET", path))["count"] == 1
