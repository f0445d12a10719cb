"""What the UI's forms and pages do with the answers beyond reading them: what they demand, what they make of what is
absent, what they send back. Each test names what would be seen if it failed."""

from typing import Any

from studio9_common.contracts.messages import JobFailed


async def test_the_form_can_be_sent_as_it_opens(ana: Any) -> None:
    """It demands a value of every parameter that it shows: one without a default keeps the form from being sent."""
    for path in ("architectures", "classifiers", "detectors", "decoders"):
        for one in await ana.ok("GET", f"/config/cv-{path}"):
            for parameter in one.get("params", []):
                assert parameter["defaults"], (path, parameter)
                assert parameter.get("options") != [] or parameter["type"] == "string"
                if options := parameter.get("options"):
                    assert set(parameter["defaults"]) <= set(options)


async def test_all_augmentations_are_taken_as_the_form_fills_them_in(ana: Any, albums: dict[str, str]) -> None:
    steps = await ana.ok("GET", "/config/cv-data-augmentation-defaults")
    body = {"outputName": "More", "includeOriginalPictures": True, "augmentations": steps, "bloatFactor": 1}
    assert (await ana.ok("POST", f"/albums/{albums['train']}/augment", body))["status"] == "SAVING"


async def test_labels_without_a_place_come_back_with_nulls(ana: Any, png: Any) -> None:
    """Of a second label without an area the form makes one of nulls; refusing it, such a picture could not be saved."""
    album = (await ana.ok("POST", "/albums", {"name": "Kinds", "labelMode": "CLASSIFICATION"}))["id"]
    path = f"/albums/{album}/pictures/{(await ana.upload(album, 'p', png()))['id']}"
    nowhere = dict.fromkeys(("top", "left", "width", "height"))
    square = {"top": 0, "left": 0, "width": 50, "height": 50}
    tags = [{"label": "ship", "area": square}, {"label": "grey", "area": nowhere}]
    assert (await ana.ok("PUT", path, {"tags": tags}))["tags"] == [{"label": "ship"}, {"label": "grey"}]
    error = await ana.refused(400, "PUT", path, {"tags": [{"label": "ship", "area": nowhere | {"top": 1}}]})
    assert error["errors"][0]["field"].startswith("tags.0.area.")


async def test_pictures_without_labels_are_no_label_of_interest(
    ana: Any, albums: dict[str, str], experiment: Any, workers: Any
) -> None:
    """The form offers what `tags` counts, and that has the pictures without labels under an empty name."""
    labels = [{"label": "ship", "threshold": 0.4}, {"label": "", "threshold": 0.3}]
    nothing = {"inputSize": None, "defaultVisualThreshold": None, "iouThreshold": None}
    await ana.ok("POST", "/experiments", experiment(albums, trainParams={"loi": labels, **nothing}))
    assert (await workers.take()).data.spec.parameters["thresholds"]["labels"] == {"ship": 0.4}


async def test_a_detector_says_its_labels_before_it_has_some(
    ana: Any, albums: dict[str, str], experiment: Any, workers: Any
) -> None:
    """The page of a new prediction stops the whole app at a detector without `classes`."""
    await ana.ok("POST", "/experiments", experiment(albums))
    model = (await workers.take()).data.spec.provenance.model_id
    seen = await ana.ok("GET", f"/cv-models/{model}")
    assert (seen["status"], seen["classes"]) == ("TRAINING", [])


async def test_what_a_model_is_made_of_is_named_as_long_as_it_is_there(
    ana: Any, bo: Any, model: str, installation: Any
) -> None:
    """The library names a model's parts out of these lists; one that is not in them reads `undefined Detector`."""
    worker = installation.stand_ins.documents["workers"]["w1"]
    parts = worker["catalogue"]
    renewed = {
        "architectures": [{**one, "id": f"{one['id']}_2"} for one in parts["architectures"]],
        "heads": [
            {**one, "id": f"{one['id']}_2", "architectures": [f"{name}_2" for name in one["architectures"]]}
            for one in parts["heads"]
        ],
    }
    await installation.stop()
    installation.stand_ins.documents["workers"]["w1"] = worker | {"catalogue": parts | renewed}
    await installation.start()
    ana.http, bo.http = installation.http(), installation.http()
    kind = (await ana.ok("GET", f"/cv-models/{model}"))["modelType"]
    for path, name in (("architectures", kind["architecture"]), ("detectors", kind["detectorType"])):
        listed = {one["id"]: one for one in await ana.ok("GET", f"/config/cv-{path}")}
        assert f"{name}_2" in listed and listed[name]["name"] == name
        assert listed[name].get("isNeural", False) is False, "not to be chosen again"
        assert name not in [one["id"] for one in await bo.ok("GET", f"/config/cv-{path}")]
    assert kind["detectorType"] not in [one["id"] for one in await ana.ok("GET", "/config/cv-classifiers")]


async def test_a_failure_without_a_word_still_has_a_cause(
    ana: Any, albums: dict[str, str], experiment: Any, workers: Any, until: Any
) -> None:
    """The toast of a failed process prints its cause: `undefined` where there is none."""
    made = await ana.ok("POST", "/experiments", experiment(albums))
    await workers.end(await workers.take(), JobFailed)

    async def over() -> bool:
        return bool((await ana.ok("GET", f"/experiments/{made['id']}"))["status"] == "ERROR")

    await until(over)
    process = await ana.ok("GET", f"/experiments/{made['id']}/process")
    assert process["status"] == "FAILED" and process["cause"].startswith("The job failed without saying why")
