"""Another organisation's assets are not there: every route, every kind, reading and writing."""

from typing import Any


async def test_nothing_of_another_organisation_is_found(
    ana: Any, bo: Any, workers: Any, albums: dict[str, str], model: str, installation: Any
) -> None:
    picture = (await ana.ok("GET", f"/albums/{albums['train']}/pictures"))["data"][0]["id"]
    experiment = (await ana.ok("GET", "/experiments"))["data"][0]["id"]
    process = (await ana.ok("GET", f"/experiments/{experiment}/process"))["id"]
    body = {"modelId": model, "name": "Check", "input": albums["plain"], "outputAlbumName": "Check"}
    prediction = (await ana.ok("POST", "/cv-predictions", body))["id"]
    online = {
        "name": "Quay", "target": {"id": model, "type": "CV_MODEL"},
        "options": {"type": "ONLINE_CV_PREDICTION", "inputBucketId": "local", "inputImagesPath": "",
                    "outputAlbumName": "Arrivals"},
    }  # fmt: skip
    deployment = (await ana.ok("POST", "/online-jobs", online))["id"]
    project = (await ana.ok("POST", "/projects", {"name": "Harbour"}))["id"]
    dataset = (await ana.ok("POST", "/datasets", {"name": "Files"}))["id"]
    await ana.send("POST", f"/datasets/{dataset}/files", files={"file": ("a.txt", b"train", "text/plain")})
    api = await ana.ok("POST", "/online-apis", {"name": "Ask", "target": {"id": model, "type": "CV_MODEL"}})
    share = {"assetType": "ALBUM", "assetId": albums["train"], "recipientEmail": "bo@lab.test"}
    shared = (await ana.ok("POST", "/shares", share))["id"]
    album = albums["train"]
    ids = {
        "share_id": shared, "dataset_id": dataset, "name": "a.txt", "api_id": api["id"],
        "table_id": (await ana.ok("GET", f"/experiments/{experiment}"))["result"]["step1"]["output"],
        "album_id": album, "picture_id": picture, "process_id": process, "job_id": deployment,
        "model_id": model, "project_id": project,
        "folder_id": project, "kind": "albums", "asset_id": album, "user_id": (await ana.ok("GET", "/me"))["id"],
    }  # fmt: skip
    bodies: dict[str, Any] = {
        "POST /albums/{album_id}/copy": {"name": "stolen"}, "POST /albums/{album_id}/save": {"name": "stolen"},
        "PUT": {"name": "stolen", "tags": []}, "POST /cv-models/{model_id}/save": {"name": "stolen"},
        "POST /projects/{project_id}/folders": {"path": "a"},
        "POST /albums/{album_id}/augment": {
            "outputName": "stolen", "augmentations": [{"augmentationType": "MIRRORING", "flipAxes": [0]}],
        },
        "POST /albums/{album_id}/importPicturesFromS3": {"AWSS3BucketId": "local"},
        "POST /albums/{album_id}/importLabelsFromS3": {"AWSS3BucketId": "local", "S3CSVPath": "x"},
        "POST /albums/{album_id}/importVideoFromS3": {"AWSS3BucketId": "local"},
        "POST /datasets/{dataset_id}/import": {"from": {"s3Bucket": {"AWSS3BucketId": "local"}, "path": "x"}},
        "POST /datasets/{dataset_id}/export": {"to": {"s3Bucket": {"AWSS3BucketId": "local"}, "path": "x"}},
        "PUT /albums/{album_id}/pictures": {"pictureMetaList": [{"filepath": "x", "filename": "x"}]},
    }  # fmt: skip
    tried = 0
    for path, methods in installation.baile.asgi.state.v2.openapi()["paths"].items():
        if "{" not in path:
            continue
        for method in methods:
            method = method.upper()
            run = {"cv-predictions": prediction, "datasets": dataset, "online-apis": api["id"]}.get(
                path.split("/")[1], experiment
            )
            path = path.replace("{name:path}", "{name}")
            target = path.format(**ids, run_id=run)
            options: dict[str, Any] = {"json": bodies.get(f"{method} {path}", bodies.get(method))}
            if path.endswith(("uploadPicture", "uploadLabels", "/files", "/predict")):
                options = {"files": {"file": ("x.png", b"x", "image/png")}}
            response = await bo.send(method, target, **options)
            # The process of an asset that is not there is a 400 of the contract, as for any unknown id.
            wanted = (400, 404) if path.endswith("/process") else (404,)
            assert response.status_code in wanted, f"{method} {target}: {response.status_code} {response.text}"
            assert "Ships" not in response.text and "train" not in response.json()["message"]
            tried += 1
    assert tried > 35
    for section in (
        "albums",
        "cv-models",
        "experiments",
        "cv-predictions",
        "online-jobs",
        "processes",
        "projects",
        "datasets",
        "online-apis",
        "shares",
    ):
        assert await bo.ok("GET", f"/{section}") == {"data": [], "count": 0}
    assert all(value == 0 for value in (await bo.ok("GET", "/me/stats?scope=all")).values())
    for route in ("", "/result", "/metrics"):
        assert (await bo.send("GET", f"/v1/jobs/{process}{route}")).status_code == 404
    assert (await bo.send("GET", f"/v1/albums/{album}/label-report")).status_code == 404


async def test_using_anothers_assets_as_input_is_refused(
    ana: Any, bo: Any, albums: dict[str, str], model: str, experiment: Any
) -> None:
    mine = (await bo.ok("POST", "/albums", {"name": "mine", "labelMode": "LOCALIZATION"}))["id"]
    foreign = await bo.refused(400, "POST", "/experiments", experiment(albums))
    assert foreign["message"].startswith(f"Album {albums['train']} not found")
    for body in ({"modelId": model, "input": mine}, {"modelId": model, "input": albums["plain"]}):
        await bo.refused(400, "POST", "/cv-predictions", {**body, "name": "x"})
    copied = {"name": "x", "labelMode": "LOCALIZATION", "copyPicturesFrom": [albums["train"]]}
    await bo.refused(400, "POST", "/albums", copied)
