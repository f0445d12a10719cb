"""The list of traps that break the unmodified UI, one after the other."""

from typing import Any


def nulls(value: Any, path: str = "") -> list[str]:
    """Where there is a null."""
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in nulls(inner, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for inner in value for found in nulls(inner, f"{path}[]")]
    return [path] if value is None else []


async def test_no_answer_holds_a_null(ana: Any, albums: dict[str, str], model: str) -> None:
    paths = ["/me", "/me/stats", "/me/shares", "/projects", "/albums", f"/albums/{albums['train']}",
             f"/albums/{albums['train']}/pictures", f"/albums/{albums['train']}/tags", "/cv-models",
             f"/cv-models/{model}", "/experiments", "/processes", "/cv-predictions", "/online-jobs", "/s3buckets",
             "/config/cv-architectures", "/config/cv-classifiers", "/config/cv-detectors"]  # fmt: skip
    experiment = (await ana.ok("GET", "/experiments"))["data"][0]["id"]
    paths += [f"/experiments/{experiment}", f"/experiments/{experiment}/process"]
    for path in paths:
        assert nulls(await ana.ok("GET", path)) == [], path


async def test_processes_target_what_the_ui_knows_and_say_when(ana: Any, model: str) -> None:
    (process,) = (await ana.ok("GET", "/processes?page=1&page_size=20&order=-created"))["data"]
    assert set(process) == {
        "id",
        "target",
        "targetId",
        "status",
        "progress",
        "created",
        "started",
        "completed",
        "jobType",
    }
    assert process["target"] == "EXPERIMENT" and 0 <= process["progress"] <= 1
    started = process["started"]
    assert (await ana.ok("GET", f"/processes?processStarted={started},{started}"))["count"] == 1
    assert (await ana.ok("GET", f"/processes?processStarted={started},{started}&jobTypes=CV_MODEL_IMPORT"))[
        "count"
    ] == 0
    await ana.refused(400, "GET", f"/processes?processStarted={started}")
    await ana.refused(400, "GET", "/processes?order=status")


async def test_there_is_no_process_where_there_is_none(ana: Any, albums: dict[str, str], model: str) -> None:
    assert (await ana.refused(404, "GET", f"/albums/{albums['train']}/process"))["message"] == "Process was not found"
    await ana.refused(404, "GET", f"/cv-models/{model}/process")
    await ana.refused(404, "GET", "/processes/undefined")
    error = await ana.refused(400, "GET", "/experiments/undefined/process")
    assert error["message"].startswith("Process target asset was not found")


async def test_confusion_indices_are_within_the_labels(ana: Any, model: str) -> None:
    experiment = (await ana.ok("GET", f"/cv-models/{model}"))["experimentId"]
    step = (await ana.ok("GET", f"/experiments/{experiment}"))["result"]["step1"]
    for name in ("summary", "testSummary"):
        for cell in step[name]["confusionMatrix"]:
            assert all(0 <= cell[key] < len(step[name]["labels"]) for key in ("actual", "predicted") if key in cell)
            assert cell["count"] > 0 and ("actual" in cell or "predicted" in cell)


async def test_tags_without_a_place_get_one_in_a_localization_album(
    ana: Any, workers: Any, model: str, png: Any, until: Any
) -> None:
    kinds = (await ana.ok("POST", "/albums", {"name": "Kinds", "labelMode": "CLASSIFICATION"}))["id"]
    picture = await ana.upload(kinds, "p", png(64, 48))
    await ana.ok("PUT", f"/albums/{kinds}/pictures/{picture['id']}", {"tags": [{"label": "ship"}]})
    body = {"modelId": model, "name": "Check", "input": kinds, "outputAlbumName": "Check"}
    made = await ana.ok("POST", "/cv-predictions", body)
    await workers.complete(await workers.take())

    async def done() -> bool:
        return bool((await ana.ok("GET", f"/cv-predictions/{made['id']}"))["status"] == "DONE")

    await until(done)
    (seen,) = (await ana.ok("GET", f"/albums/{made['output']}/pictures"))["data"]
    assert seen["tags"] == [{"label": "ship", "area": {"left": 0, "top": 0, "width": 64, "height": 48}}]


async def test_what_the_ui_posts_is_taken_as_it_is(ana: Any, albums: dict[str, str], experiment: Any) -> None:
    body = experiment(albums, trainParams={}, params={}, testInput=None, featureExtractorParams=None)
    made = await ana.ok("POST", "/experiments", body)
    assert nulls(made) == [] and "testInput" not in made["pipeline"]["step1"]
    album = await ana.ok("POST", "/albums", {"name": "UI test album", "description": "", "labelMode": "CLASSIFICATION"})
    assert (await ana.ok("PUT", f"/albums/{album['id']}", {"name": "renamed", "labelMode": "CLASSIFICATION"}))["name"]
    clone = await ana.ok("POST", f"/albums/{album['id']}/copy", {"name": "clone", "copyOnlyLabelledPictures": False})
    assert clone["status"] == "ACTIVE"
