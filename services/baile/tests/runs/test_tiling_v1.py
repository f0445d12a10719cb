"""`/v1`: a dataset version is cut into tiles, which are a dataset version of their own."""

import hashlib
import json
from typing import Any

from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.messages import JobCompleted, JobFailed
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_common.contracts.reasons import reason
from studio9_task.pictures import PictureRecord
from studio9_task.results import TileResult
from studio9_task.shapes import Box
from studio9_task.tiles import TileParameters, TileRecord, TileSpec

BODY = {"size": 48, "overlap": 16, "format": "png"}


def tile_of(record: PictureRecord, content: bytes) -> TileRecord:
    """The left part of a picture, with a box on it."""
    sha256 = hashlib.sha256(content).hexdigest()
    place = {"row": 0, "column": 0, "left": 0, "top": 0, "right": 48, "bottom": 48, "scale_x": 1.0, "scale_y": 1.0}
    return TileRecord.model_validate({
        **record.model_dump(), **place, "picture_id": f"{record.picture_id}.0-0", "version": sha256, "sha256": sha256,
        "size": len(content), "key": f"pictures/{sha256}", "width": 48, "height": 48, "source": record.picture_id,
        "source_sha256": record.sha256, "group": record.group or record.sha256,
        "annotations": (Box(label="ship", left=5, top=5, width=9, height=9),),
    })  # fmt: skip


async def complete(workers: Any, installation: Any, request: Any, png: Any, *, first: int = 0) -> None:
    """What the trainers leave: a tile of each picture, of colours from the first on."""
    contents: dict[str, bytes] = {}
    records = []
    for number, record in enumerate((await workers.pictures(request))["pictures"], first):
        content = png(48, 48, (number, 7, 7))
        records.append(tile_of(record, content))
        contents[records[-1].sha256] = content
    result = TileResult(
        framework="studio9", pictures=4, tiles=4, boxes=4, boxes_dropped=0, spec=TileSpec(size=48, overlap=16)
    )
    outputs = {
        "manifest.jsonl": ("manifest", "".join(f"{one.model_dump_json(exclude_none=True)}\n" for one in records)),
        "result.json": ("result", result.model_dump_json()),
        **{f"pictures/{sha256}": ("picture", content) for sha256, content in contents.items()},
    }
    prefix, files = f"{request.organisation}/jobs/{request.data.job}/1", []
    for name, (artifact, body) in outputs.items():
        stored = body if isinstance(body, bytes) else body.encode()
        info = await installation.objects.put(f"{prefix}/outputs/{name}", stored)
        files.append(ManifestFile(name=name, key=info.key, sha256=info.sha256, size=info.size, artifact=artifact,
                                  media_type="image/png"))  # fmt: skip
    manifest = AttemptManifest(organisation=request.organisation, job=request.data.job, attempt=1, fence=1,
                               kind="tile", files=tuple(files))  # fmt: skip
    info = await installation.objects.put(f"{prefix}/manifest.json", manifest.model_dump_json().encode())
    await workers.end(request, JobCompleted, manifest=ObjectRef(key=info.key, sha256=info.sha256, size=info.size))


async def test_tiles_are_a_dataset_version_of_their_own(
    ana: Any, bo: Any, workers: Any, installation: Any, albums: dict[str, str], png: Any, until: Any
) -> None:
    body = {"albums": {"train": albums["train"], "test": albums["test"]}}
    original = await ana.ok("POST", "/v1/dataset-versions", body)
    path = f"/v1/dataset-versions/{original['id']}/tile"
    for change, field in (
        ({"size": 16}, "size"), ({"overlap": 48}, "overlap"), ({"overlap": -1}, "overlap"), ({"scale": 0}, "scale"),
        ({"padding": "soft"}, "padding"), ({"format": "gif"}, "format"), ({"quality": 0}, "quality"),
        ({"tiles": {}}, "tiles"), ({"size": 32, "overlap": 31, "scale": 8}, "size"),
    ):  # fmt: skip
        refused = await ana.send("POST", path, json={**BODY, **change})
        assert refused.status_code == 400 and refused.json()["field"] == field and refused.json()["fix"], refused.text
    assert (await bo.send("POST", path, json=BODY)).status_code == 404
    assert await workers.take_all(timeout_s=0.05) == []

    made = await ana.ok("POST", path, BODY)
    request = await workers.take()
    assert (request.data.job, request.data.spec.kind, request.data.spec.framework) == (made["job"], "tile", "studio9")
    tiles = TileParameters.model_validate(request.data.spec.parameters).tiles
    assert (tiles.size, tiles.overlap, tiles.padding) == (48, 16, "shift")
    given = (await workers.pictures(request))["pictures"]
    assert sorted(one.split for one in given) == ["test", "test", "train", "train"]
    result = f"/v1/dataset-versions/{made['dataset_version']}"
    assert (await ana.send("GET", result)).status_code == 404, "nobody trains on half of it"
    assert (await ana.ok("GET", f"/v1/jobs/{made['job']}"))["status"] == "QUEUED"
    assert (await ana.ok("GET", "/processes"))["count"] == 0, "the UI knows no such job"
    await complete(workers, installation, request, png)

    async def done() -> bool:
        return bool((await ana.ok("GET", f"/v1/jobs/{made['job']}"))["status"] == "COMPLETED")

    await until(done)
    version = await ana.ok("GET", result)
    assert (version["purpose"], version["pictures"], version["shapes"]) == ("tiles", 4, 4)
    manifests = {one["name"]: one for one in version["manifests"]}
    assert set(manifests) == {"train", "test"} and manifests["train"]["album"] == albums["train"]
    sources = {one.picture_id: one for one in given}
    for name, one in manifests.items():
        lines = (await ana.http.get(one["url"])).content
        assert hashlib.sha256(lines).hexdigest() == one["sha256"] and one["pictures"] == 2
        for record in map(TileRecord.model_validate, map(json.loads, lines.splitlines())):
            source = sources[record.source]
            assert record.split == source.split == name and record.group == (source.group or source.sha256)
            assert (record.right, record.scale_x, record.boxes[0].label) == (48, 1.0, "ship")
            assert hashlib.sha256(await installation.objects.get(record.key)).hexdigest() == record.sha256
    async with installation.baile.core.database.read(request.organisation) as work:
        parents = await work.lineage.parents(version["id"])
    assert (original["id"], "tile") in {(one.parent, one.role) for one in parents}
    assert {one.job for one in parents} == {made["job"]}
    model = (await ana.ok("POST", "/v1/models", {"name": "On tiles"}))["id"]
    config = {"architecture": "YOLO11N", "head": "YOLO_HEAD"}
    training = {"dataset_version_id": version["id"], "config": config}
    await ana.ok("POST", f"/v1/models/{model}/train", training)
    assert {len(one) for one in (await workers.pictures(await workers.take())).values()} == {2}


async def test_a_failed_cutting_leaves_nothing(ana: Any, workers: Any, albums: dict[str, str], until: Any) -> None:
    original = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"predict": albums["plain"]}})
    made = await ana.ok("POST", f"/v1/dataset-versions/{original['id']}/tile", {})
    await workers.end(await workers.take(), JobFailed, reason=reason("timeout"))

    async def over() -> bool:
        return bool((await ana.ok("GET", f"/v1/jobs/{made['job']}"))["status"] == "FAILED")

    await until(over)
    assert (await ana.send("GET", f"/v1/dataset-versions/{made['dataset_version']}")).status_code == 404
