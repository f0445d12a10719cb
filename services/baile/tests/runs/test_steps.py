"""Trainings in two steps, and trainings on augmented copies of their pictures."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from studio9_baile.jobs.finishing import Finisher
from studio9_common.contracts.messages import JobFailed, JobRequested
from studio9_common.contracts.reasons import reason
from studio9_task.augmentations import AugmentedRecord
from studio9_task.parameters import TrainParameters
from studio9_task.shapes import Box

from .salsa.shapes import Experiment, check

BEGINS = {"kind": "train", "framework": "yolo", "inputs": [{"name": "model", "holds": "model", "required": False}]}
MIRRORING = {"augmentationType": "MIRRORING", "flipAxes": [0], "bloatFactor": 1}
COPIES = {"augmentations": [MIRRORING], "bloatFactor": 2, "prepareSampleAlbum": True}


@pytest.fixture(autouse=True)
async def trainers(installation: Any) -> None:
    """Workers whose trainers take a model to begin with."""
    worker = installation.stand_ins.documents["workers"]["w1"]
    tasks = [*worker["catalogue"]["tasks"], BEGINS]
    installation.stand_ins.documents["workers"]["w1"] = worker | {"catalogue": worker["catalogue"] | {"tasks": tasks}}


def two_steps(albums: dict[str, str], experiment: Any, name: str = "Twice", **second: Any) -> dict[str, Any]:
    """What the form posts for a new feature extractor and a second consumer on another album."""
    body: dict[str, Any] = experiment(albums, name, trainParams=None, testInput=None)
    body["pipeline"]["step2"] = {
        "tuneFeatureExtractor": True, "modelType": {"tlType": "LOCALIZATION", "detectorType": "YOLO_HEAD"},
        "params": {"epochs": 2}, "input": albums["test"], "testInput": albums["train"], "augmentationOptions": None,
        "trainParams": {}, **second,
    }  # fmt: skip
    return body


async def status_is(api: Any, until: Any, path: str, status: str) -> Any:
    async def there() -> Any:
        found = await api.ok("GET", path)
        return found if found["status"] == status else None

    return await until(there)


async def first_result(api: Any, until: Any, experiment: str) -> Any:
    async def there() -> Any:
        found = await api.ok("GET", f"/experiments/{experiment}")
        return found if "result" in found else None

    return await until(there)


async def test_the_second_step_begins_with_what_the_first_has_trained(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, installation: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", two_steps(albums, experiment))
    first = await workers.take()
    assert [one.name for one in first.data.spec.inputs] == ["train"]
    await workers.start(first)
    one = await ana.ok("GET", f"/experiments/{made['id']}/process")
    assert one["id"] == first.data.job
    await workers.complete(first)
    halfway = await first_result(ana, until, made["id"])
    check(Experiment, halfway)
    assert halfway["status"] == "RUNNING" and set(halfway["result"]) == {"step1"}
    assert halfway["result"]["step1"]["summary"]["mAP"] == 0.75
    await status_is(ana, until, f"/processes/{one['id']}", "COMPLETED")

    second = await workers.take()
    asked = second.data
    assert isinstance(asked, JobRequested)
    process = await ana.ok("GET", f"/experiments/{made['id']}/process")
    assert (process["id"], process["status"], process["progress"]) == (asked.job, "QUEUED", 0)
    assert [one.name for one in asked.spec.inputs] == ["model", "train", "test"]
    content = await installation.objects.get(asked.spec.inputs[0].ref.key)
    assert content == f"weights of {first.data.job}".encode()
    assert {name: found[0].filename[:5] for name, found in (await workers.pictures(second)).items()} == {
        "train": "test_", "test": "train",
    }  # fmt: skip
    parameters = TrainParameters.model_validate(asked.spec.parameters)
    assert (parameters.architecture, parameters.tune_feature_extractor) == ("YOLO11N", True)
    assert parameters.head_parameters == {"epochs": 2}
    await workers.complete(second)
    done = await status_is(ana, until, f"/experiments/{made['id']}", "COMPLETED")
    check(Experiment, done)
    result = done["result"]
    assert result["step1"] == halfway["result"]["step1"]
    assert "testOutput" not in result["step1"] and result["step2"]["testSummary"]["mAP"] == 0.75
    models = [await ana.ok("GET", f"/cv-models/{result[step]['cvModelId']}") for step in ("step1", "step2")]
    assert [model["name"] for model in models] == ["Twice Model", "Twice Step 2 Model"]
    assert [model["status"] for model in models] == ["ACTIVE", "ACTIVE"]
    assert models[1]["featureExtractorModelId"] == models[0]["id"] and "featureExtractorModelId" not in models[0]
    output = await ana.ok("GET", f"/albums/{result['step2']['output']}")
    assert (output["status"], output["type"]) == ("ACTIVE", "TRAINRESULTS")
    listed = (await ana.ok("GET", "/processes?order=created"))["data"]
    assert [(one["jobType"], one["status"]) for one in listed] == [("CV_MODEL_TRAIN", "COMPLETED")] * 2
    assert await ana.ok("DELETE", f"/experiments/{made['id']}") == {"id": made["id"]}
    for model in models:
        await ana.refused(404, "GET", f"/cv-models/{model['id']}")
    await ana.refused(404, "GET", f"/albums/{output['id']}")


async def test_what_the_second_step_learns_from_is_fixed_when_it_is_asked_for(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any
) -> None:
    await ana.ok("POST", "/experiments", two_steps(albums, experiment))
    for name in ("train", "test"):
        await ana.refused(400, "DELETE", f"/albums/{albums[name]}")
    first = await workers.take()
    for version in (await ana.ok("GET", "/v1/dataset-versions"))["items"]:
        refused = await ana.send("DELETE", f"/v1/dataset-versions/{version['id']}")
        assert refused.status_code == 409 and first.data.job in refused.json()["detail"], refused.text
    await workers.complete(first)
    second = await workers.take()
    assert second.data.spec.provenance.dataset_version != first.data.spec.provenance.dataset_version
    assert second.data.spec.provenance.dataset_version < second.data.job, "it was written before"


async def test_a_second_step_that_fails_leaves_the_first_one_whole(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", two_steps(albums, experiment))
    await workers.complete(await workers.take())
    await workers.end(await workers.take(), JobFailed, reason=reason("out_of_memory"))
    failed = await status_is(ana, until, f"/experiments/{made['id']}", "ERROR")
    check(Experiment, failed)
    assert "summary" in failed["result"]["step1"] and set(failed["result"]["step2"]) == {
        "cvModelId", "output", "testOutput",
    }  # fmt: skip
    states = [(await ana.ok("GET", f"/cv-models/{failed['result'][one]['cvModelId']}"))["status"]
              for one in ("step1", "step2")]  # fmt: skip
    assert states == ["ACTIVE", "ERROR"]


async def test_after_a_first_step_that_fails_nothing_more_begins(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", two_steps(albums, experiment))
    await workers.end(await workers.take(), JobFailed, reason=reason("timeout"))
    failed = await status_is(ana, until, f"/experiments/{made['id']}", "ERROR")
    assert set(failed["result"]) == {"step1"}
    assert (await ana.ok("GET", "/processes"))["count"] == 1


@pytest.fixture
def results(monkeypatch: Any) -> Iterator[dict[str, bool]]:
    """No result is brought in while `results["held"]`."""
    state, step = {"held": True}, Finisher.step

    async def maybe(self: Finisher) -> bool:
        return False if state["held"] else await step(self)

    monkeypatch.setattr(Finisher, "step", maybe)
    yield state


async def test_who_cancels_a_step_that_has_just_finished_gets_no_second_one(
    results: dict[str, bool], ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", two_steps(albums, experiment))
    first = await workers.take()
    await ana.ok("POST", f"/processes/{first.data.job}/cancel")
    await workers.complete(first)
    results["held"] = False
    ended = await status_is(ana, until, f"/experiments/{made['id']}", "CANCELLED")
    assert "summary" in ended["result"]["step1"]
    assert (await ana.ok("GET", "/processes"))["count"] == 1


async def test_bad_second_steps(ana: Any, workers: Any, albums: dict[str, str], experiment: Any) -> None:
    for change, field in (
        ({"input": "nothing"}, "input"), ({"input": albums["plain"]}, "input"), ({"testInput": "x"}, "testInput"),
        ({"modelType": {"tlType": "LOCALIZATION", "detectorType": "RFB"}}, "modelType.detectorType"),
        ({"params": {"epochs": 0}}, "params.epochs"), ({"architecture": "YOLO11N"}, "architecture"),
        ({"featureExtractorModelId": "x"}, "featureExtractorModelId"),
        ({"trainParams": {"loi": [{"label": "whale", "threshold": 0.5}]}}, "trainParams.loi.0.label"),
        ({"augmentationOptions": {"augmentations": [{}]}}, "augmentationOptions.augmentations.0"),
    ):  # fmt: skip
        error = await ana.refused(400, "POST", "/experiments", two_steps(albums, experiment, **change))
        assert error["errors"][0]["field"] == f"pipeline.step2.{field}", error
    assert (await ana.ok("GET", "/experiments"))["count"] == 0
    assert await workers.take_all(timeout_s=0.1) == []


async def test_heads_without_layers_need_a_model_to_begin_with(
    ana: Any, albums: dict[str, str], experiment: Any, installation: Any
) -> None:
    worker = installation.stand_ins.documents["workers"]["w1"]
    heads = [one | {"neural": False} if one["id"] == "YOLO_HEAD" else one for one in worker["catalogue"]["heads"]]
    installation.stand_ins.documents["workers"]["w1"] = worker | {"catalogue": worker["catalogue"] | {"heads": heads}}
    error = await ana.refused(400, "POST", "/experiments", experiment(albums))
    assert error["errors"][0]["field"] == "pipeline.step1.modelType.detectorType"
    assert "features of a trained model" in error["message"]


async def test_a_training_on_copies_shows_how_many_and_a_sample(
    ana: Any, bo: Any, workers: Any, albums: dict[str, str], experiment: Any, png: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums, augmentationOptions=COPIES))
    assert made["pipeline"]["step1"]["augmentationOptions"] == COPIES
    request = await workers.take()
    parameters = TrainParameters.model_validate(request.data.spec.parameters)
    assert parameters.augmentation is not None and parameters.augmentation.prepare_sample
    assert parameters.augmentation.bloat_factor == 2
    first = (await workers.pictures(request))["train"][0]
    content = png(64, 48, (9, 9, 9))
    sha256 = hashlib.sha256(content).hexdigest()
    copy = AugmentedRecord.model_validate({
        **first.model_dump(), "picture_id": "new-1", "version": sha256, "sha256": sha256, "size": len(content),
        "filename": f"{first.filename}_MIRRORING", "original_id": first.picture_id,
        "annotations": (Box(label="ship", left=34, top=10, width=20, height=20),),
        "applied": ({"augmentationType": "MIRRORING", "flipAxis": 0},),
    })  # fmt: skip
    more = (
        ("augmented", "augmented.jsonl", copy.model_dump_json(exclude_none=True).encode() + b"\n"),
        ("picture", f"pictures/{sha256}", content),
    )
    counts = [{"augmentation": {"augmentation_type": "MIRRORING", "flip_axes": [0], "bloat_factor": 1}, "count": 2}]
    await workers.complete(request, more=more, result={"augmentation": counts})
    done = await status_is(ana, until, f"/experiments/{made['id']}", "COMPLETED")
    check(Experiment, done)
    step = done["result"]["step1"]
    assert step["augmentationSummary"] == [{"augmentation": MIRRORING, "count": 2}]
    sample = await ana.ok("GET", f"/albums/{step['augmentedSampleAlbum']}")
    assert (sample["name"], sample["type"], sample["status"]) == ("train automated DA sample", "SOURCE", "ACTIVE")
    (seen,) = (await ana.ok("GET", f"/albums/{sample['id']}/pictures"))["data"]
    assert seen["augmentationsApplied"] == [{"augmentationType": "MIRRORING", "flipAxis": 0, "extraParams": {}}]
    assert [one["label"] for one in seen["tags"]] == ["ship"] and seen["originalPictureId"] == first.picture_id
    assert (await ana.http.get(seen["filepath"])).content == content
    assert (await ana.ok("GET", f"/albums/{step['output']}"))["status"] == "ACTIVE"
    await bo.refused(404, "GET", f"/albums/{sample['id']}")
    await ana.ok("DELETE", f"/experiments/{made['id']}")
    await ana.refused(404, "GET", f"/albums/{sample['id']}")


async def test_without_a_sample_there_is_no_album(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    options = {"augmentations": [MIRRORING], "bloatFactor": 1, "prepareSampleAlbum": False}
    made = await ana.ok("POST", "/experiments", experiment(albums, augmentationOptions=options))
    await workers.end(await workers.take(), JobFailed, reason=reason("timeout"))
    failed = await status_is(ana, until, f"/experiments/{made['id']}", "ERROR")
    assert set(failed["result"]["step1"]) == {"cvModelId", "output", "testOutput"}
    empty = {"augmentations": [], "bloatFactor": 1, "prepareSampleAlbum": True}
    await ana.ok("POST", "/experiments", experiment(albums, "Empty", augmentationOptions=empty))
    request = await workers.take()
    assert request.data.spec.parameters.get("augmentation") is None


async def test_a_sample_of_a_training_that_failed(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums, augmentationOptions=COPIES))
    await workers.end(await workers.take(), JobFailed, reason=reason("timeout"))
    failed = await status_is(ana, until, f"/experiments/{made['id']}", "ERROR")
    sample = failed["result"]["step1"]["augmentedSampleAlbum"]
    assert (await ana.ok("GET", f"/albums/{sample}"))["status"] == "ERROR"
