"""Predictions and evaluations: what is asked for, what comes back, what is refused."""

from typing import Any

from studio9_common.contracts.messages import JobFailed, JobRequested
from studio9_common.contracts.predictions import prediction_id
from studio9_common.contracts.reasons import reason

PREDICTION = {"id", "ownerId", "name", "status", "created", "updated", "modelId", "input", "output"}


def body(model: str, album: str, **changes: Any) -> dict[str, Any]:
    return {
        "modelId": model, "name": "Check", "description": None, "input": album, "outputAlbumName": "Check result",
        "options": None, "evaluate": False, **changes,
    }  # fmt: skip


async def done(api: Any, until: Any, made: Any, status: str = "DONE") -> Any:
    async def there() -> bool:
        return bool((await api.ok("GET", f"/cv-predictions/{made['id']}"))["status"] == status)

    await until(there)
    return await api.ok("GET", f"/cv-predictions/{made['id']}")


async def test_a_prediction_from_the_form_to_the_album(
    ana: Any, workers: Any, albums: dict[str, str], model: str, until: Any, installation: Any
) -> None:
    options = {"defaultVisualThreshold": 0.25, "loi": [{"label": "ship", "threshold": 0.5}]}
    made = await ana.ok("POST", "/cv-predictions", body(model, albums["plain"], options=options))
    assert set(made) == PREDICTION and made["status"] == "RUNNING"
    output = await ana.ok("GET", f"/albums/{made['output']}")
    assert (output["name"], output["status"], output["type"], output["inLibrary"]) == (
        "Check result", "SAVING", "DERIVED", False,
    )  # fmt: skip
    request = await workers.take()
    spec = request.data.spec
    assert isinstance(request.data, JobRequested) and spec.kind == "predict"
    assert [(one.name, one.kind) for one in spec.inputs] == [("model", "file"), ("predict", "pictures")]
    assert (await installation.objects.get(spec.inputs[0].ref.key)).startswith(b"weights of ")
    assert spec.inputs[0].ref.key == f"{request.organisation}/models/{spec.provenance.model_version}/model.pt"
    assert spec.parameters["thresholds"]["confidence"] == 0.25
    assert spec.parameters["thresholds"]["labels"] == {"ship": 0.5}
    assert spec.parameters["thresholds"]["iou"] == 0.45  # as the model was trained with
    assert spec.provenance.model_id == model and spec.provenance.source == "batch"
    process = await ana.ok("GET", f"/cv-predictions/{made['id']}/process")
    assert (process["jobType"], process["target"], process["targetId"]) == (
        "CV_MODEL_PREDICT", "CV_PREDICTION", made["id"],
    )  # fmt: skip
    await workers.start(request)
    await workers.complete(request)
    finished = await done(ana, until, made)
    assert set(finished) == PREDICTION | {"predictionTimeSpentSummary", "probabilityPredictionTableId"}
    assert set(finished["predictionTimeSpentSummary"]) == {
        "dataLoadingTime", "predictionTime", "modelLoadingTime", "tasksQueuedTime", "totalJobTime", "pipelineDetails",
    }  # fmt: skip
    pictures = (await ana.ok("GET", f"/albums/{made['output']}/pictures?order=-predictedTags.confidence"))["data"]
    assert [(one["filename"], len(one["predictedTags"])) for one in pictures] == [("plain_one", 1), ("plain_two", 0)]
    assert (await ana.ok("GET", f"/albums/{made['output']}"))["status"] == "ACTIVE"
    assert (await ana.ok("GET", f"/processes/{request.data.job}"))["progress"] == 1.0
    async with installation.baile.core.database.read(request.organisation) as work:
        shape = next(one for one in await work.predicted.all() if one.job == request.data.job)
        sha256 = (await work.pictures.get(shape.picture)).sha256
    assert shape.prediction == prediction_id(sha256, spec.provenance.model_version, request.data.job, 0)


async def test_an_evaluation_has_a_summary(
    ana: Any, workers: Any, albums: dict[str, str], model: str, until: Any
) -> None:
    made = await ana.ok("POST", "/cv-predictions", body(model, albums["test"], evaluate=True, outputAlbumName=None))
    request = await workers.take()
    assert request.data.spec.kind == "evaluate" and "thresholds" not in request.data.spec.parameters
    assert [one.name for one in request.data.spec.inputs] == ["model", "test"]
    assert (await ana.ok("GET", f"/cv-predictions/{made['id']}/process"))["jobType"] == "CV_MODEL_EVALUATE"
    await workers.complete(request)
    finished = await done(ana, until, made)
    assert set(finished) == PREDICTION | {
        "summary", "predictionTimeSpentSummary", "evaluationTimeSpentSummary", "probabilityPredictionTableId",
    }  # fmt: skip
    assert finished["summary"]["mAP"] == 0.75 and finished["summary"]["labels"] == ["buoy", "ship"]
    output = await ana.ok("GET", f"/albums/{made['output']}")
    assert (output["type"], output["name"]) == ("TRAINRESULTS", "Check OUT")
    exported = await ana.send("GET", f"/albums/{made['output']}/export?access_token={ana.token}")
    assert "test_one,ship,10,10,30,30" in exported.text.splitlines()


BAD_PREDICTIONS = [
    ({"modelId": "nothing"}, "modelId"),
    ({"input": "nothing"}, "input"),
    ({"input": "empty"}, "input"),
    ({"input": "plain", "evaluate": True}, "input"),
    ({"name": None}, "name"),
    ({"name": " "}, "name"),
    ({"options": {"loi": []}}, "options.loi"),
    ({"options": {"loi": [{"label": "whale", "threshold": 0.5}]}}, "options.loi.0.label"),
    ({"options": {"defaultVisualThreshold": 2}}, "options.defaultVisualThreshold"),
    ({"options": {"iouThreshold": 0}}, "options.iouThreshold"),
    ({"evaluate": "perhaps"}, "evaluate"),
]


async def test_bad_predictions(ana: Any, workers: Any, albums: dict[str, str], model: str) -> None:
    for change, field in BAD_PREDICTIONS:
        change = {key: albums.get(value, value) if isinstance(value, str) else value for key, value in change.items()}
        error = await ana.refused(400, "POST", "/cv-predictions", {**body(model, albums["test"]), **change})
        assert error["errors"][0]["field"] == field and error["errors"][0]["fix"]
        assert (await ana.ok("GET", "/cv-predictions"))["count"] == 0


async def test_a_model_that_is_not_ready_and_a_name_that_is_taken(
    ana: Any, workers: Any, albums: dict[str, str], model: str, experiment: Any
) -> None:
    await ana.ok("POST", "/experiments", experiment(albums, "Second"))
    training = (await workers.take()).data.spec.provenance.model_id
    error = await ana.refused(400, "POST", "/cv-predictions", body(training, albums["plain"]))
    assert error["message"].startswith("CV Model provided is not active")
    await ana.ok("POST", "/cv-predictions", body(model, albums["plain"]))
    error = await ana.refused(400, "POST", "/cv-predictions", body(model, albums["plain"]))
    assert error["message"].startswith("Prediction already exists")


async def test_a_failed_prediction(ana: Any, workers: Any, albums: dict[str, str], model: str, until: Any) -> None:
    made = await ana.ok("POST", "/cv-predictions", body(model, albums["plain"]))
    await workers.end(await workers.take(), JobFailed, reason=reason("timeout"))
    await done(ana, until, made, "ERROR")
    assert (await ana.ok("GET", f"/albums/{made['output']}"))["status"] == "ERROR"
    await ana.refused(400, "DELETE", f"/albums/{made['output']}")
    assert await ana.ok("DELETE", f"/cv-predictions/{made['id']}") == {"id": made["id"]}
    await ana.refused(404, "GET", f"/albums/{made['output']}")


async def test_a_completed_job_without_a_usable_result_is_a_failure(
    ana: Any, workers: Any, albums: dict[str, str], model: str, until: Any
) -> None:
    from studio9_common.contracts.messages import JobCompleted

    made = await ana.ok("POST", "/cv-predictions", body(model, albums["plain"]))
    request = await workers.take()
    await workers.end(request, JobCompleted)
    await done(ana, until, made, "ERROR")
    process = await ana.ok("GET", f"/processes/{request.data.job}")
    assert process["status"] == "FAILED" and process["cause"].startswith("Error handling job result: ")


async def test_renaming_and_lists(ana: Any, albums: dict[str, str], model: str) -> None:
    made = await ana.ok("POST", "/cv-predictions", body(model, albums["plain"]))
    changed = await ana.ok("PUT", f"/cv-predictions/{made['id']}", {"name": "Better", "description": "d"})
    assert set(changed) == PREDICTION | {"description"} and changed["name"] == "Better"
    listed = await ana.ok("GET", "/cv-predictions?search=&order=-created&page=1&page_size=20&scope=personal")
    assert [set(one) for one in listed["data"]] == [PREDICTION | {"description"}] and listed["count"] == 1
