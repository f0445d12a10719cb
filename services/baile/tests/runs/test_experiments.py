"""Experiments: what is asked for, what comes back, what is refused, cancelled, failed and deleted."""

import hashlib
import json
from typing import Any

from studio9_common.contracts.messages import JobCancel, JobCancelled, JobFailed, JobRequested
from studio9_common.contracts.reasons import reason

ITEM = {"id", "name", "ownerId", "created", "updated", "status", "type"}
MODEL = {"id", "ownerId", "name", "created", "updated", "status", "modelType", "experimentId", "inLibrary"}


async def finished(api: Any, until: Any, path: str, status: str) -> Any:
    async def there() -> bool:
        return bool((await api.ok("GET", path))["status"] == status)

    await until(there)
    return await api.ok("GET", path)


async def test_a_training_is_asked_for_with_all_it_needs(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, installation: Any
) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    assert set(made) == ITEM | {"pipeline"} and made["status"] == "RUNNING"
    assert "augmentationOptions" not in made["pipeline"]["step1"]
    request = await workers.take()
    asked = request.data
    assert isinstance(asked, JobRequested)
    assert (asked.spec.kind, asked.spec.framework) == ("train", "yolo")
    parameters = dict(asked.spec.parameters)
    assert parameters["architecture"] == "YOLO11N" and parameters["head_parameters"] == {"epochs": 3}
    assert parameters["input_size"] == {"width": 192, "height": 192}
    assert parameters["thresholds"] == {
        "confidence": 0.3, "iou": 0.45, "labels": {"ship": 0.4}, "max_boxes": 300,
    }  # fmt: skip
    assert asked.spec.provenance.model_id and asked.spec.provenance.dataset_version
    inputs = await workers.pictures(request)
    assert {name: len(found) for name, found in inputs.items()} == {"train": 2, "test": 2}
    one = next(record for record in inputs["train"] if record.filename == "train_one")
    assert [(box.label, box.corners) for box in one.boxes] == [("ship", (10, 10, 30, 30)), ("ship", (1, 1, 9, 9))]
    assert one.label_revision and one.split == "train" and (one.width, one.height) == (64, 48)
    content = await installation.objects.get(one.key)
    assert hashlib.sha256(content).hexdigest() == one.sha256 == one.version
    process = await ana.ok("GET", f"/experiments/{made['id']}/process")
    assert process["id"] == asked.job and process["jobType"] == "CV_MODEL_TRAIN" and process["status"] == "QUEUED"


async def test_the_result_has_exactly_the_contracts_fields(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    request = await workers.take()
    await workers.start(request)
    await workers.complete(request)
    done = await finished(ana, until, f"/experiments/{made['id']}", "COMPLETED")
    assert set(done) == ITEM | {"pipeline", "result"}
    step = done["result"]["step1"]
    assert set(step) == {
        "cvModelId", "output", "testOutput", "summary", "testSummary", "trainTimeSpentSummary",
        "evaluationTimeSpentSummary",
        "probabilityPredictionTableId",
        "testProbabilityPredictionTableId",
    }  # fmt: skip
    assert step["testSummary"] == {
        "labels": ["buoy", "ship"],
        "mAP": 0.75,
        "confusionMatrix": [
            {"actual": 0, "count": 1},
            {"actual": 1, "predicted": 1, "count": 2},
            {"predicted": 1, "count": 1},
        ],
    }
    times = step["trainTimeSpentSummary"]
    assert set(times) == {
        "dataLoadingTime", "trainingTime", "modelSavingTime", "initialPredictionTime", "tasksQueuedTime",
        "totalJobTime", "pipelineDetails",
    }  # fmt: skip
    assert (times["trainingTime"], times["tasksQueuedTime"], times["totalJobTime"]) == (70, 1, 2)
    assert {"time": 70, "description": "train"} in times["pipelineDetails"]
    model = await ana.ok("GET", f"/cv-models/{step['cvModelId']}")
    assert set(model) == MODEL | {"classes"}
    assert model["modelType"] == {
        "type": "TL", "tlType": "LOCALIZATION", "detectorType": "YOLO_HEAD", "architecture": "YOLO11N",
        "labelMode": "LOCALIZATION",
    }  # fmt: skip
    assert (model["status"], model["classes"], model["inLibrary"]) == ("ACTIVE", ["buoy", "ship"], False)
    assert model["experimentId"] == made["id"] and model["name"] == "Ships v1 Model"
    await ana.refused(404, "GET", f"/cv-models/{model['id']}/process")
    listed = (await ana.ok("GET", "/experiments?order=-created&page_size=1000"))["data"]
    assert [set(one) for one in listed] == [ITEM]


async def test_output_albums_show_labels_and_predictions(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    assert "result" not in made
    await workers.complete(await workers.take(), without=("test_two",))
    step = (await finished(ana, until, f"/experiments/{made['id']}", "COMPLETED"))["result"]["step1"]
    album = await ana.ok("GET", f"/albums/{step['testOutput']}")
    assert (album["status"], album["type"], album["inLibrary"]) == ("ACTIVE", "TRAINRESULTS", False)
    pictures = (await ana.ok("GET", f"/albums/{album['id']}/pictures?order=fileName"))["data"]
    one, two = pictures
    assert set(one) == {"id", "albumId", "filepath", "filename", "filesize", "tags", "predictedTags"}
    assert one["filename"] == "test_one" and len(one["tags"]) == 2 and len(one["predictedTags"]) == 3
    assert one["predictedTags"][0] == {
        "label": "ship", "area": {"left": 10, "top": 10, "width": 20, "height": 20}, "confidence": 0.9,
    }  # fmt: skip
    assert (await ana.http.get(one["filepath"])).headers["content-type"] == "image/png"
    assert two["filename"] == "test_two" and two["predictedTags"] == [] and len(two["tags"]) == 1
    counts = {one["label"]: one["count"] for one in await ana.ok("GET", f"/albums/{album['id']}/tags")}
    assert counts == {"ship": 3, "": 1}
    best = await ana.ok("GET", f"/albums/{album['id']}/pictures?order=-predictedTags.confidence&labels=ship")
    assert [found["filename"] for found in best["data"]] == ["test_one"]
    assert (await ana.ok("GET", "/albums"))["count"] == 4


BAD_PIPELINES = [
    ({"architecture": "VGG99"}, "architecture", "YOLO11N"),
    ({"modelType": {"tlType": "LOCALIZATION", "detectorType": "RFB"}}, "modelType.detectorType", "YOLO_HEAD"),
    ({"architecture": "VGG16"}, "modelType.detectorType", "does not fit on VGG16; use FCN_1LAYER"),
    (
        {"architecture": "VGG16", "modelType": {"tlType": "LOCALIZATION", "detectorType": "FCN_1LAYER"}},
        "modelType.detectorType",
        "YOLO_HEAD",
    ),
    ({"modelType": {"tlType": "LOCALIZATION"}}, "modelType", "detectorType"),
    ({"modelType": {"tlType": "AUTOENCODER", "decoderType": "NONE_OFFERED"}}, "modelType.tlType",
     "train a classifier or a detector"),
    ({"params": {"epochs": 0}}, "params.epochs", "from 1 to 3000"),
    ({"params": {"epocs": 5}}, "params.epocs", "epochs"),
    ({"params": {"momentum": 0.9}}, "params.momentum", "optimizer is one of SGD"),
    ({"featureExtractorParams": {"depth": 1}}, "featureExtractorParams.depth", "no such parameter"),
    ({"trainParams": {"modelLearningRate": 0}}, "trainParams.modelLearningRate", "0 < value"),
    ({"trainParams": {"defaultVisualThreshold": 1.5}}, "trainParams.defaultVisualThreshold", "0 < value"),
    ({"trainParams": {"loi": [{"label": "whale", "threshold": 0.5}]}}, "trainParams.loi.0.label", "ship"),
    ({"trainParams": {"inputSize": {"width": 8, "height": 192}}}, "trainParams.inputSize.width", "as 64"),
    ({"trainParams": {"inputSize": {"width": 65, "height": 63}}}, "trainParams.inputSize.width", "as 96"),
    ({"trainParams": {"inputSize": {"width": 96, "height": 63}}}, "trainParams.inputSize.height", "as 64"),
    ({"trainParams": {"inputSize": {"width": 96, "height": 64}}}, "trainParams.inputSize.height", "give 96"),
    ({"trainParams": {"inputSize": {"width": True, "height": 64}}}, "trainParams.inputSize.width", "whole number"),
    ({"trainParams": {"loi": [{"label": "ship", "threshold": True}]}}, "trainParams.loi.0.threshold", "number"),
    ({"trainParams": {"loi": [{"label": "x" * 501, "threshold": 0.5}]}}, "trainParams.loi.0.label", "1 to 500"),
    ({"input": "nothing"}, "input", "not found"),
    ({"input": "plain"}, "input", "label some"),
    ({"input": "empty"}, "input", "no pictures"),
    ({"testInput": "plain"}, "testInput", "label some"),
    ({"augmentationOptions": {"augmentations": [{}]}}, "augmentationOptions.augmentations.0", "discriminator"),
    ({"augmentationOptions": {"augmentations": [{"augmentationType": "MELTING"}]}},
     "augmentationOptions.augmentations.0", "MIRRORING"),
    ({"augmentationOptions": {"augmentations": [{"augmentationType": "ROTATION", "angles": [400]}]}},
     "augmentationOptions.augmentations.0.angles.0", "less than 360"),
    ({"augmentationOptions": {"bloatFactor": 0, "augmentations": [{"augmentationType": "MIRRORING", "flipAxes": [0]}]}},
     "augmentationOptions.bloatFactor", "Invalid bloat factor"),
    ({"augmentationOptions": {"bloatFactor": "x"}}, "augmentationOptions.bloatFactor", "whole number"),
    ({"architecture": None, "featureExtractorModelId": "x"}, "featureExtractorModelId", "not found"),
    ({"architecture": None}, "architecture", "not found"),
    ({"modelType": None}, "modelType", "modelType"),
]  # fmt: skip


async def test_bad_pipelines_are_refused_and_leave_nothing(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any
) -> None:
    for change, field, words in BAD_PIPELINES:
        change = {key: albums.get(value, value) if isinstance(value, str) else value for key, value in change.items()}
        error = await ana.refused(400, "POST", "/experiments", experiment(albums, **change))
        assert error["errors"][0]["field"] == f"pipeline.step1.{field}"
        assert f"pipeline.step1.{field}" in error["message"]
        assert words in json.dumps(error)
    assert (await ana.ok("GET", "/experiments"))["count"] == 0
    assert await workers.take_all(timeout_s=0.1) == []


async def test_bad_experiments(ana: Any, albums: dict[str, str], experiment: Any) -> None:
    body = experiment(albums)
    for change, status in (
        ({"type": "TabularTrain"}, 400), ({"type": None}, 400), ({"pipeline": None}, 400), ({"name": None}, 400),
        ({"name": ""}, 400), ({"pipeline": {"step1": body["pipeline"]["step1"], "step2": {}}}, 400),
    ):  # fmt: skip
        await ana.refused(status, "POST", "/experiments", {**body, **change})
    await ana.ok("POST", "/experiments", body)
    taken = await ana.refused(409, "POST", "/experiments", body)
    assert taken["errors"][0]["field"] == "name"


async def test_an_album_of_another_mode(ana: Any, albums: dict[str, str], experiment: Any, png: Any) -> None:
    made = await ana.ok("POST", "/albums", {"name": "Kinds", "labelMode": "CLASSIFICATION"})
    await ana.upload(made["id"], "p", png())
    error = await ana.refused(400, "POST", "/experiments", experiment(albums, input=made["id"]))
    assert error["message"].startswith("Model type is incompatible with album")


async def test_albums_and_models_in_use_are_kept(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any, png: Any
) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    error = await ana.refused(400, "DELETE", f"/albums/{albums['train']}")
    assert error["message"].startswith("Album is in use")
    files = {"file": ("x.png", png(), "image/png")}
    locked = await ana.refused(409, "POST", f"/albums/{albums['test']}/uploadPicture", files=files)
    assert "clone it" in locked["message"]
    request = await workers.take()
    await ana.refused(409, "DELETE", f"/cv-models/{request.data.spec.provenance.model_id}")
    await workers.complete(request)
    await finished(ana, until, f"/experiments/{made['id']}", "COMPLETED")
    error = await ana.refused(400, "DELETE", f"/cv-models/{request.data.spec.provenance.model_id}")
    assert error["message"].startswith("Model in use")


async def test_a_failure_says_why_and_leaves_error_everywhere(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    request = await workers.take()
    await workers.start(request)
    await workers.end(request, JobFailed, reason=reason("out_of_memory"))
    failed = await finished(ana, until, f"/experiments/{made['id']}", "ERROR")
    step = failed["result"]["step1"]
    assert set(step) == {"cvModelId", "output", "testOutput"}
    assert (await ana.ok("GET", f"/cv-models/{step['cvModelId']}"))["status"] == "ERROR"
    assert (await ana.ok("GET", f"/albums/{step['output']}"))["status"] == "ERROR"
    process = await ana.ok("GET", f"/experiments/{made['id']}/process")
    assert process["status"] == "FAILED" and process["cause"].startswith("[out_of_memory]: The task ran out of memory")
    assert process["completed"]


async def test_cancelling(ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    request = await workers.take()
    await workers.start(request)
    assert await ana.ok("POST", f"/processes/{request.data.job}/cancel") == {"id": request.data.job}
    cancel = await cancelled_by(workers)
    assert isinstance(cancel, JobCancel) and cancel.job == request.data.job
    assert (await ana.ok("GET", f"/experiments/{made['id']}"))["status"] == "RUNNING"
    await workers.end(request, JobCancelled, reason=reason("cancelled"))
    cancelled = await finished(ana, until, f"/experiments/{made['id']}", "CANCELLED")
    step = cancelled["result"]["step1"]
    assert (await ana.ok("GET", f"/cv-models/{step['cvModelId']}"))["status"] == "CANCELLED"
    assert (await ana.ok("GET", f"/albums/{step['output']}"))["status"] == "ERROR"
    await ana.refused(404, "POST", f"/processes/{request.data.job}/cancel")


async def test_deleting_a_finished_experiment_takes_what_is_not_saved(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    await workers.complete(await workers.take())
    step = (await finished(ana, until, f"/experiments/{made['id']}", "COMPLETED"))["result"]["step1"]
    saved = await ana.ok("POST", f"/albums/{step['output']}/save", {"name": "Kept"})
    assert saved["inLibrary"] is True
    assert await ana.ok("DELETE", f"/experiments/{made['id']}") == {"id": made["id"]}
    await ana.ok("GET", f"/albums/{step['output']}")
    await ana.refused(404, "GET", f"/albums/{step['testOutput']}")
    await ana.refused(404, "GET", f"/cv-models/{step['cvModelId']}")
    await ana.ok("DELETE", f"/albums/{albums['train']}")


async def cancelled_by(workers: Any) -> Any:
    """The next message that is no request: those go out again until they are known to have been heard."""
    while isinstance((message := await workers.take()).data, JobRequested):
        pass
    return message.data


async def test_deleting_a_running_experiment_cancels_its_job(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any
) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    request = await workers.take()
    await workers.start(request)

    async def running() -> bool:
        return bool((await ana.ok("GET", f"/processes/{request.data.job}"))["status"] == "RUNNING")

    await until(running)
    await ana.ok("DELETE", f"/experiments/{made['id']}")
    assert isinstance(await cancelled_by(workers), JobCancel)
    await workers.end(request, JobCancelled, reason=reason("cancelled"))
    await ana.refused(404, "GET", f"/experiments/{made['id']}")


async def test_renaming(ana: Any, workers: Any, albums: dict[str, str], experiment: Any) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    changed = await ana.ok("PUT", f"/experiments/{made['id']}", {"name": "Better", "description": "d"})
    assert (changed["name"], changed["description"]) == ("Better", "d") and "pipeline" in changed
    await ana.refused(400, "PUT", f"/experiments/{made['id']}", {"name": " "})


async def test_saving_needs_a_name(ana: Any, workers: Any, albums: dict[str, str], experiment: Any, until: Any) -> None:
    made = await ana.ok("POST", "/experiments", experiment(albums))
    await workers.complete(await workers.take())
    step = (await finished(ana, until, f"/experiments/{made['id']}", "COMPLETED"))["result"]["step1"]
    for path in (f"/cv-models/{step['cvModelId']}", f"/albums/{step['output']}"):
        error = await ana.refused(400, "POST", f"{path}/save", {})
        assert (error["errors"][0]["field"], error["errors"][0]["fix"]) == ("name", "give a name")
        assert (await ana.ok("GET", path))["inLibrary"] is False


async def test_models_are_saved_renamed_and_named_once(ana: Any, model: str) -> None:
    error = await ana.refused(400, "POST", f"/cv-models/{model}/save", {"name": "Again"})
    assert error["message"].startswith("This model has already been saved")
    changed = await ana.ok("PUT", f"/cv-models/{model}", {"name": "Better", "description": "d"})
    assert (changed["name"], changed["description"], changed["inLibrary"]) == ("Better", "d", True)
    await ana.refused(400, "PUT", f"/cv-models/{model}", {"name": ""})
    listed = await ana.ok("GET", "/cv-models?search=bet&order=-created&scope=personal")
    assert [one["id"] for one in listed["data"]] == [model]
    assert (await ana.ok("GET", "/me/stats"))["cvModelsCount"] == 1


async def test_a_training_begins_with_a_model(
    ana: Any, workers: Any, albums: dict[str, str], model: str, experiment: Any, installation: Any
) -> None:
    step = {"architecture": None, "featureExtractorModelId": model, "tuneFeatureExtractor": False}
    body = experiment(albums, "Second", **step)
    error = await ana.refused(400, "POST", "/experiments", body)
    assert error["errors"][0]["field"] == "pipeline.step1.featureExtractorModelId" and "not offered" in error["message"]
    worker = installation.stand_ins.documents["workers"]["w1"]
    task = {"kind": "train", "framework": "yolo", "inputs": [{"name": "model", "holds": "model", "required": False}]}
    await installation.stop()
    installation.stand_ins.documents["workers"]["w1"] = worker | {"catalogue": worker["catalogue"] | {"tasks": [task]}}
    await installation.start()
    again = installation.signed_in("ana")
    made = await again.ok("POST", "/experiments", body)
    assert made["pipeline"]["step1"]["featureExtractorModelId"] == model
    request = await workers.take()
    assert [one.name for one in request.data.spec.inputs] == ["model", "train", "test"]
    assert request.data.spec.parameters["tune_feature_extractor"] is False
    trained = await again.ok("GET", f"/cv-models/{request.data.spec.provenance.model_id}")
    assert trained["featureExtractorModelId"] == model and trained["modelType"]["architecture"] == "YOLO11N"
    await again.refused(400, "DELETE", f"/cv-models/{model}")
