"""Pictures, labels and files from users' buckets, and files to them: with a server that speaks S3, in this process."""

import json
from contextlib import closing
from typing import Any

import pytest

from .buckets import BUCKET, over, s3, server

__all__ = ["s3", "server"]


@pytest.fixture
async def album(ana: Any) -> str:
    return str((await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "CLASSIFICATION"}))["id"])


@pytest.mark.parametrize("labels", ["file", "bucket"])
async def test_pictures_come_with_their_labels(
    ana: Any, album: str, s3: Any, installation: Any, png: Any, until: Any, labels: str
) -> None:
    for number in range(25):
        s3.put_object(Bucket="harbour", Key=f"ships/{number:02}.png", Body=png(30, 20, (number, 0, 0)))
    s3.put_object(Bucket="harbour", Key="ships/deep/a.jpg", Body=png(8, 8, form="JPEG"))
    s3.put_object(Bucket="harbour", Key="ships/notes.txt", Body=b"no picture")
    s3.put_object(Bucket="harbour", Key="ships/broken.png", Body=b"no picture either")
    s3.put_object(Bucket="harbour", Key="other/x.png", Body=png())
    rows = b"00.png,ship\na.jpg,buoy\n"
    s3.put_object(Bucket="harbour", Key="labels.csv", Body=rows)
    form = {**BUCKET, "S3ImagesPath": "ships/", "applyLogTransformation": "true"}
    options: dict[str, Any] = {"json": {**form, "S3CSVPath": "labels.csv"}}
    if labels == "file":
        options = {"data": form, "files": {"file": ("labels.csv", rows, "text/csv")}}
    started = await ana.send("POST", f"/albums/{album}/importPicturesFromS3", **options)
    assert (started.status_code, started.json()["status"]) == (202, "UPLOADING"), started.text
    process = await over(ana, until, f"/albums/{album}")
    assert (process["status"], process["jobType"], process["progress"]) == ("COMPLETED", "S3_IMAGES_IMPORT", 1.0), (
        process
    )
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"
    listed = await ana.ok("GET", f"/albums/{album}/pictures?order=fileName&page_size=100")
    names = [one["filename"] for one in listed["data"]]
    assert names == [*(f"{number:02}.png" for number in range(25)), "a.jpg"]
    tagged = {one["filename"]: [tag["label"] for tag in one["tags"]] for one in listed["data"] if one["tags"]}
    assert tagged == {"00.png": ["ship"], "a.jpg": ["buoy"]}
    assert installation.stand_ins.secrets == {}, "the credentials are forgotten"


async def test_credentials_are_kept_as_a_secret_alone(
    ana: Any, album: str, s3: Any, installation: Any, until: Any, png: Any, caplog: Any
) -> None:
    s3.put_object(Bucket="harbour", Key="a.png", Body=png())
    core = installation.baile.core
    kept: list[Any] = []
    add = core.argo.add_secret

    async def add_secret(*given: Any, **named: Any) -> Any:
        kept.append((given, named))
        return await add(*given, **named)

    core.argo.add_secret = add_secret
    form = {**BUCKET, "S3ImagesPath": "", "applyLogTransformation": "true"}
    await ana.ok("POST", f"/albums/{album}/importPicturesFromS3", data=form, files={"other": ("", b"")})
    process = await over(ana, until, f"/albums/{album}")
    assert kept[0][0][1]["secret_key"] == "very-secret" and kept[0][1]["audiences"] == ("baile",)
    async with core.database.read(core.tokens.read(ana.token).organisation) as work:
        row = await work.processes.get(process["id"])
        waiting = [message.body for message in await work.outbox.all()]
    assert "very-secret" not in json.dumps(row.context) and not any(b"very-secret" in one for one in waiting)
    assert "very-secret" not in caplog.text


async def test_labels_from_a_bucket(ana: Any, installation: Any, album: str, s3: Any, png: Any) -> None:
    await ana.upload(album, "pic", png())
    s3.put_object(Bucket="harbour", Key="l/labels.csv", Body=b"pic,ship\nother,ship\n")
    path = f"/albums/{album}/importLabelsFromS3"
    assert (await ana.ok("POST", path, {**BUCKET, "S3CSVPath": "l/labels.csv"}))["status"] == "ACTIVE"
    assert await ana.ok("GET", f"/albums/{album}/tags") == [{"label": "ship", "count": 1}]
    error = await ana.refused(400, "POST", path, {**BUCKET, "S3CSVPath": "l/none.csv"})
    assert error["message"].startswith("Error reading file from S3.") and "very-secret" not in json.dumps(error)
    await installation.signed_in("bo").refused(404, "POST", path, {**BUCKET, "S3CSVPath": "l/labels.csv"})


async def test_files_of_a_dataset_come_and_go(ana: Any, s3: Any, until: Any, installation: Any) -> None:
    s3.put_object(Bucket="harbour", Key="in/a.txt", Body=b"one")
    s3.put_object(Bucket="harbour", Key="in/deep/b.txt", Body=b"two")
    dataset = (await ana.ok("POST", "/datasets", {"name": "Files"}))["id"]
    place = {"s3Bucket": BUCKET, "path": "in/"}
    started = await ana.send("POST", f"/datasets/{dataset}/import", json={"from": place})
    assert (started.status_code, started.json()["status"]) == (202, "IMPORTING"), started.text
    assert (await over(ana, until, f"/datasets/{dataset}"))["status"] == "COMPLETED"
    names = [one["filename"] for one in (await ana.ok("GET", f"/datasets/{dataset}/ls?order=filename"))["data"]]
    assert names == ["a.txt", "deep/b.txt"]
    sent = await ana.send("POST", f"/datasets/{dataset}/export", json={"to": {"s3Bucket": BUCKET, "path": "out"}})
    assert (sent.status_code, sent.json()["status"]) == (202, "EXPORTING"), sent.text
    process = await over(ana, until, f"/datasets/{dataset}")
    assert (process["status"], process["jobType"]) == ("COMPLETED", "DATASET_EXPORT"), process
    with closing(s3.get_object(Bucket="harbour", Key="out/deep/b.txt")["Body"]) as sent_file:
        assert sent_file.read() == b"two"
    assert (await ana.ok("GET", f"/datasets/{dataset}"))["status"] == "IDLE"
    assert installation.stand_ins.secrets == {}


async def test_what_fails_says_so_and_leaves_the_album_usable(
    ana: Any, album: str, s3: Any, installation: Any, until: Any
) -> None:
    path = f"/albums/{album}/importPicturesFromS3"
    assert (await ana.send("POST", path, json={**BUCKET, "S3ImagesPath": "nothing"})).status_code == 202
    process = await over(ana, until, f"/albums/{album}")
    assert process["status"] == "FAILED" and "no files below 'nothing'" in process["cause"]
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"
    assert installation.stand_ins.secrets == {}


async def test_bad_places(ana: Any, album: str, s3: Any, png: Any) -> None:
    path = f"/albums/{album}/importPicturesFromS3"
    for change, field in (
        ({"AWSRegion": "http://169.254.169.254"}, "AWSRegion"), ({"AWSRegion": None}, "AWSRegion"),
        ({"AWSS3BucketName": "a/../b"}, "AWSS3BucketName"), ({"AWSS3BucketName": None}, "AWSS3BucketName"),
        ({"AWSAccessKey": ""}, "AWSAccessKey"), ({"AWSSecretKey": None}, "AWSSecretKey"),
        ({"AWSS3BucketId": "unknown"}, "AWSS3BucketId"), ({"S3ImagesPath": "a//b"}, "S3ImagesPath"),
        ({"S3ImagesPath": "../up"}, "S3ImagesPath"), ({"S3CSVPath": "a/../b"}, "S3CSVPath"),
    ):  # fmt: skip
        error = await ana.refused(400, "POST", path, {**BUCKET, "S3ImagesPath": "ships", **change})
        assert error["errors"][0]["field"] == field, error
    dataset = (await ana.ok("POST", "/datasets", {"name": "Files"}))["id"]
    await ana.refused(400, "POST", f"/datasets/{dataset}/import", {"to": {"s3Bucket": BUCKET}})
    await ana.refused(400, "POST", f"/datasets/{dataset}/import", {"from": {"s3Bucket": {}, "path": "x"}})
