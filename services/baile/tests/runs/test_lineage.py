"""Where things come from: any number that is shown leads to its pictures, labels, job and commit; an old manifest says
the same for ever."""

import hashlib
import json
from typing import Any

from studio9_baile.models.pictures import PictureLabel
from studio9_task.pictures import PictureRecord


async def fetched(ana: Any, url: str) -> bytes:
    answer = await ana.http.get(url)
    assert answer.status_code == 200, answer.text
    return bytes(answer.content)


async def manifests(ana: Any, version: str) -> dict[str, list[PictureRecord]]:
    """A dataset version's pictures, by manifest, each checked against its hash."""
    found = {}
    for one in (await ana.ok("GET", f"/v1/dataset-versions/{version}"))["manifests"]:
        content = await fetched(ana, one["url"])
        assert hashlib.sha256(content).hexdigest() == one["sha256"] and len(content) == one["size"]
        found[one["name"]] = [PictureRecord.model_validate_json(line) for line in content.splitlines()]
    return found


async def test_a_shown_number_leads_to_pictures_labels_job_and_commit(
    ana: Any, workers: Any, installation: Any, albums: dict[str, str], model: str
) -> None:
    experiment = (await ana.ok("GET", "/experiments"))["data"][0]["id"]
    step = (await ana.ok("GET", f"/experiments/{experiment}"))["result"]["step1"]
    shown = step["testSummary"]["mAP"]
    (version,) = (await ana.ok("GET", f"/v1/models/{step['cvModelId']}/versions"))["items"]
    assert version["figures"]["test"]["map50"] == shown, "the number is the model version's own"
    whole = await ana.ok("GET", f"/v1/models/{model}/versions/{version['id']}")
    (origin,) = [one for one in whole["made_from"] if one["kind"] == "DATASET_VERSION"]
    pictures = await manifests(ana, origin["id"])
    assert sorted(pictures) == ["test", "train"]
    core = installation.baile.core
    organisation = core.tokens.read(ana.token).organisation
    for record in pictures["test"]:
        assert hashlib.sha256(await core.objects.get(record.key)).hexdigest() == record.sha256
        assert record.label_revision is not None
        async with core.database.read(organisation) as work:
            revision = await work.revisions.get(record.label_revision)
        assert revision.source == "human" and revision.author, "somebody has drawn these boxes"
        assert [one["label"] for one in revision.shapes] == [one.label for one in record.annotations]
    session = await ana.ok("GET", f"/v1/training-sessions/{origin['job']}")
    assert session["session"]["model_version"] == version["id"]
    manifest = session["artifacts"]
    weights = next(one for one in manifest if one["name"] == "model.pt")
    assert weights["sha256"] == version["artifact_sha256"]
    assert session["commit"] == "abc1234" and session["image_digest"] == "sha256:feed"


async def test_an_old_manifest_is_the_same_after_every_label_has_changed(
    ana: Any, installation: Any, albums: dict[str, str]
) -> None:
    album = albums["train"]
    made = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": album}})
    before = await manifests(ana, made["id"])
    area = {"top": 2, "left": 2, "width": 7, "height": 7}
    for record in before["train"]:
        tags = {"tags": [{"label": "whale", "area": area}]}
        await ana.ok("PUT", f"/albums/{album}/pictures/{record.picture_id}", tags)
    later = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": album}})
    assert {one.label for record in (await manifests(ana, later["id"]))["train"] for one in record.annotations} == {
        "whale"
    }
    assert await manifests(ana, made["id"]) == before
    core = installation.baile.core
    organisation = core.tokens.read(ana.token).organisation
    await ana.ok("DELETE", f"/albums/{album}")
    assert await manifests(ana, made["id"]) == before, "also when the album is gone"
    async with core.database.read(organisation) as work:
        wanted = [record.label_revision for record in before["train"] if record.label_revision]
        texts = await work.revisions.texts(wanted)
        assert await work.labels.count(PictureLabel.album == album) == 0
    for record in before["train"]:
        kept = [one["label"] for one in json.loads(texts[record.label_revision or ""])]
        assert kept == [one.label for one in record.annotations] != ["whale"]
        assert hashlib.sha256(await core.objects.get(record.key)).hexdigest() == record.sha256
