"""Online jobs: Argo is told what to watch, and what Taurus had predicted arrives in the album."""

import hashlib
from typing import Any

from studio9_common.contracts.collections import job_document
from studio9_common.contracts.configuration import StreamConfig
from studio9_common.contracts.envelope import Envelope
from studio9_common.contracts.job import Input, Job, ObjectRef, Provenance, Spec, State
from studio9_common.contracts.messages import JobRequested
from studio9_common.ids import new_id
from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box

ONLINE = {"id", "ownerId", "name", "status", "created", "updated", "enabled", "target", "options"}


def body(model: str, **changes: Any) -> dict[str, Any]:
    options = {
        "type": "ONLINE_CV_PREDICTION", "inputBucketId": "local", "inputImagesPath": "/images/",
        "outputAlbumName": "Arrivals",
    }  # fmt: skip
    return {
        "name": "Harbour", "description": None, "target": {"id": model, "type": "CV_MODEL"}, "enabled": True,
        "options": {**options, **changes.pop("options", {})}, **changes,
    }  # fmt: skip


def config(installation: Any, job: Any) -> Any:
    """What Argo knows of a stream."""
    found = [value for place, value in installation.stand_ins.config.items() if place[2] == f"stream_{job['id']}"]
    return StreamConfig.model_validate(found[0]) if found else None


async def test_argo_is_told_what_to_watch(ana: Any, model: str, until: Any, installation: Any) -> None:
    made = await ana.ok("POST", "/online-jobs", body(model))
    assert set(made) == ONLINE and made["status"] == "RUNNING" and made["enabled"] is True
    assert made["target"] == {"id": model, "type": "CV_MODEL"}
    assert set(made["options"]) == {"type", "inputBucketId", "inputImagesPath", "outputAlbumId"}

    async def told() -> Any:
        return config(installation, made)

    stream = await until(told)
    assert (stream.bucket, stream.prefix, stream.enabled) == ("inbox", "images/", True)
    assert (stream.stream, stream.album, stream.model) == (made["id"], made["options"]["outputAlbumId"], model)
    assert stream.owner == made["ownerId"] and stream.model_version and stream.dataset_version
    assert (await installation.objects.head(stream.checkpoint.key)).sha256 == stream.checkpoint.sha256
    album = await ana.ok("GET", f"/albums/{stream.album}")
    assert (album["type"], album["status"], album["inLibrary"]) == ("DERIVED", "ACTIVE", True)
    off = await ana.ok("PUT", f"/online-jobs/{made['id']}", {"name": "Harbour", "description": None, "enabled": False})
    assert (off["enabled"], off["status"]) == (False, "IDLE")

    async def disabled() -> bool:
        return config(installation, made).enabled is False

    await until(disabled)
    assert await ana.ok("DELETE", f"/online-jobs/{made['id']}") == {"id": made["id"]}

    async def gone() -> bool:
        return config(installation, made) is None

    await until(gone)
    await ana.refused(404, "GET", f"/online-jobs/{made['id']}")
    await ana.ok("DELETE", f"/albums/{stream.album}")


async def test_several_online_jobs_are_managed_by_all_of_the_organisation(
    ana: Any, bo: Any, model: str, installation: Any
) -> None:
    first = await ana.ok("POST", "/online-jobs", body(model, description="quay"))
    await ana.ok("POST", "/online-jobs", body(model, name="Two", enabled=False, options={"outputAlbumName": "B"}))
    await ana.ok("POST", "/users", {"username": "cy", "email": "cy@lab.test", "password": "Correct-horse-9",
                                    "firstName": "Cy", "lastName": "Oz"})  # fmt: skip
    cy = await installation.sign_in("cy")
    listed = await cy.ok("GET", "/online-jobs?order=enabled&page_size=1000")
    assert [one["name"] for one in listed["data"]] == ["Two", "Harbour"]
    assert (await cy.ok("PUT", f"/online-jobs/{first['id']}", {"enabled": False}))["description"] == "quay"
    assert (await bo.ok("GET", "/online-jobs"))["count"] == 0
    await bo.refused(404, "PUT", f"/online-jobs/{first['id']}", {"enabled": True})
    await ana.refused(400, "DELETE", f"/albums/{first['options']['outputAlbumId']}")
    await ana.refused(400, "DELETE", f"/cv-models/{model}")


BAD_ONLINE_JOBS = [
    ({"name": ""}, "name"),
    ({"target": {"id": "nothing", "type": "CV_MODEL"}}, "target.id"),
    ({"target": {"id": "x", "type": "MODEL"}}, "target.type"),
    ({"options": {"inputBucketId": "elsewhere"}}, "options.inputBucketId"),
    ({"options": {"inputImagesPath": "x" * 1000}}, "options.inputImagesPath"),
    ({"options": {"outputAlbumName": ""}}, "options.outputAlbumName"),
    ({"options": {"outputAlbumName": "train"}}, "options.outputAlbumName"),
    ({"options": {"type": "OTHER"}}, "options.type"),
]


async def test_bad_online_jobs(ana: Any, model: str) -> None:
    for change, field in BAD_ONLINE_JOBS:
        error = await ana.refused(400, "POST", "/online-jobs", body(model, **change))
        assert error["errors"][0]["field"] == field and field in error["message"]
        assert (await ana.ok("GET", "/online-jobs"))["count"] == 0


UNKNOWN_TARGETS = [
    ({"target": {"id": "nothing", "type": "CV_MODEL"}}, "target.id", "nothing"),
    ({"target": {"id": "x", "type": "MODEL"}}, "target.type", "MODEL"),
    ({"options": {"inputBucketId": "elsewhere"}}, "options.inputBucketId", "elsewhere"),
]


async def test_an_unknown_target_is_named_with_its_value_and_the_fix(ana: Any, model: str) -> None:
    for change, field, value in UNKNOWN_TARGETS:
        error = await ana.refused(400, "POST", "/online-jobs", body(model, **change))
        (entry,) = error["errors"]
        assert (entry["field"], entry["value"]) == (field, value)
        assert f"{field} is {value}: {entry['fix']}" in error["message"]


async def test_argo_away_is_told_later(ana: Any, model: str, until: Any, installation: Any) -> None:
    installation.stand_ins.away = True
    made = await ana.ok("POST", "/online-jobs", body(model))
    assert config(installation, made) is None
    installation.stand_ins.away = False

    async def told() -> bool:
        return config(installation, made) is not None

    await until(told, 10)


async def arriving(installation: Any, made: Any, organisation: str, count: int = 3) -> Envelope:
    """A batch that Taurus would ask for: pictures that Baile does not know, named by their claims."""
    lines = []
    for number in range(count):
        content = f"picture {number} of {made['id']}".encode()
        sha256 = hashlib.sha256(content).hexdigest()
        key = f"{organisation}/pictures/{sha256}"
        await installation.objects.put(key, content, content_type="image/png")
        record = PictureRecord(
            picture_id=f"claim-{made['id']}-{number}", version=sha256, sha256=sha256, key=key,
            filename=f"quay {number}.png", size=len(content), width=64, height=48,
            annotations=(Box(label="buoy", left=1, top=2, width=3, height=4),),
        )  # fmt: skip
        lines.append(record.model_dump_json(exclude_none=True) + "\n")
    manifest = "".join(lines).encode()
    job = new_id()
    info = await installation.objects.put(f"{organisation}/online/{job}/manifest.jsonl", manifest)
    spec = Spec(
        kind="predict",
        inputs=(
            Input(name="predict", kind="pictures", ref=ObjectRef(key=info.key, sha256=info.sha256, size=info.size)),
        ),
        provenance=Provenance(source="online", model_id="m", model_version="v7", stream=made["id"]),
    )
    asked = JobRequested(job=job, owner=made["ownerId"], spec=spec, context={"stream": made["id"], "album": "any"})
    document = Job(
        id=job, organisation=organisation, owner=made["ownerId"], spec=spec, request_hash="h", context=asked.context,
        state=State.completed, created_at="2026-11-21T00:00:00.000000Z", updated_at="2026-11-21T00:00:00.000000Z",
    )  # fmt: skip
    installation.stand_ins.documents.setdefault("jobs", {})[job] = job_document(document)
    return Envelope(id=new_id(), type=asked.type, source="taurus", organisation=organisation, time="", data=asked)


async def test_arrivals_appear_in_the_album_with_their_boxes(
    ana: Any, workers: Any, model: str, until: Any, installation: Any
) -> None:
    made = await ana.ok("POST", "/online-jobs", body(model))
    album = made["options"]["outputAlbumId"]
    organisation = next(place[0] for place in await waited(until, installation))
    for _ in range(2):
        request = await arriving(installation, made, organisation)
        await workers.complete(request)

    async def there() -> bool:
        return bool((await ana.ok("GET", f"/albums/{album}/pictures"))["count"] == 3)

    await until(there)
    pictures = (await ana.ok("GET", f"/albums/{album}/pictures?order=fileName"))["data"]
    assert [one["filename"] for one in pictures] == ["quay 0.png", "quay 1.png", "quay 2.png"]
    assert pictures[1]["predictedTags"] == [
        {"label": "buoy", "area": {"left": 1, "top": 2, "width": 3, "height": 4}, "confidence": 0.9}
    ]
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"
    assert all(one["target"] == "EXPERIMENT" for one in (await ana.ok("GET", "/processes"))["data"])


async def waited(until: Any, installation: Any) -> Any:
    async def told() -> Any:
        return list(installation.stand_ins.config)

    return await until(told)


async def test_a_stream_of_nobody_changes_nothing(
    ana: Any, bo: Any, workers: Any, model: str, until: Any, installation: Any
) -> None:
    made = await ana.ok("POST", "/online-jobs", body(model))
    await waited(until, installation)
    claims = installation.baile.core.tokens.read(bo.token)
    foreign = await arriving(installation, made, claims.organisation)
    await workers.complete(foreign)
    mine = await arriving(installation, made, installation.baile.core.tokens.read(ana.token).organisation, 1)
    await workers.complete(mine)

    async def there() -> bool:
        path = f"/albums/{made['options']['outputAlbumId']}/pictures"
        return bool((await ana.ok("GET", path))["count"] == 1)

    await until(there)
    assert isinstance(foreign.data, JobRequested)
    await bo.refused(404, "GET", f"/processes/{foreign.data.job}")
