"""A real training: one epoch of YOLO in a container without network.

The trainers' environment is mounted read-only. Where STUDIO9_TEST_TRAINERS_IMAGE names an image of it (made by
deploy/trainers.Dockerfile, 6 GB), the same runs from that.
"""

import hashlib
import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from studio9_cli.demo.digits import build_pages
from studio9_common.contracts.job import Input, ObjectRef, Spec
from studio9_common.contracts.messages import WorkerRun
from studio9_common.contracts.predictions import AttemptManifest
from studio9_common.ids import new_id
from studio9_task.parameters import TrainParameters
from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box

from .harness import WORKER, Platform

TRAINERS_IMAGE = "STUDIO9_TEST_TRAINERS_IMAGE"
SIZE = 96
TRAINED_S = 400.0
LEASE_S = 20.0


@pytest.mark.parametrize("trainers", ["mounted", "in_the_image"])
async def test_one_epoch_of_yolo_without_network(platform: Platform, trainers_python: Path, trainers: str) -> None:
    mounted = trainers == "mounted"
    image = platform.image if mounted else os.environ.get(TRAINERS_IMAGE)
    if not image:
        pytest.skip(f"{TRAINERS_IMAGE} names no image of the trainers (deploy/trainers.Dockerfile makes one, 6 GB)")
    await platform.start_worker(
        hostile=False, runner="container", docker_url=platform.engine.url, task_image=image,
        installation=platform.owner.installation, mount_trainers=mounted,
        trainers_python=trainers_python if mounted else Path("/nonexistent/python"),
        output_gib=1.0, task_disk_gib=2.0, task_command="",
    )  # fmt: skip
    inputs = (await pages(platform, "train", 8), await pages(platform, "test", 4))
    parameters = TrainParameters(
        architecture="YOLO11N", head="YOLO_HEAD", head_parameters={"epochs": 1, "batch_size": 4}
    )
    job = new_id()
    spec = Spec(kind="train", parameters=parameters.model_dump(mode="json"), inputs=inputs, seed=7)
    await platform.send(WorkerRun(worker=WORKER, job=job, attempt=1, fence=1, spec=spec))
    container: Any = await platform.until(lambda: platform.engine.inspect(platform.container(job)), TRAINED_S)
    assert container["HostConfig"]["NetworkMode"] == "none"
    assert ("/opt/studio9/python" in {one["Destination"] for one in container["Mounts"]}) == mounted
    await platform.until(lambda: any(one.job == job for one in platform.results), TRAINED_S)
    result = await platform.result(job)
    assert (result.outcome, result.reason) == ("succeeded", None)
    # The training's threads left room for the agent: no lease would have run out, however busy the machine is.
    pauses = [later - before for before, later in pairwise(platform.beaten)]
    assert max(pauses) < LEASE_S
    assert result.checkpoint is not None
    assert result.manifest is not None
    manifest = AttemptManifest.model_validate_json(await platform.objects.get(result.manifest.key))
    names = {file.name for file in manifest.files}
    assert "task.log" in names
    assert any(name.endswith(".pt") for name in names)
    await platform.clean(job)
    metrics = {item.key for batch in platform.telemetry for item in batch.items if item.kind == "metric"}
    assert len(metrics) > 3
    assert await platform.until(lambda: any(beat.announcement for beat in platform.beats))


async def pages(platform: Platform, split: Any, count: int) -> Input:
    """Pages of digits with their boxes, among the objects."""
    records = []
    for page in build_pages(platform.folder / split, count, SIZE, split=split):
        content = page.path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        await platform.objects.put(f"acme/pictures/{sha256}", content)
        boxes = tuple(
            Box(label=box.label, left=box.left, top=box.top, width=box.width, height=box.height) for box in page.boxes
        )
        records.append(
            PictureRecord(
                picture_id=page.filename, version=sha256, sha256=sha256, key=f"acme/pictures/{sha256}",
                filename=page.filename, size=len(content), width=SIZE, height=SIZE, annotations=boxes,
            )
        )  # fmt: skip
    lines = b"".join(record.model_dump_json(exclude_none=True).encode() + b"\n" for record in records)
    info = await platform.objects.put(f"acme/datasets/{new_id()}/manifest.jsonl", lines)
    assert info.sha256 is not None
    return Input(name=split, kind="pictures", ref=ObjectRef(key=info.key, sha256=info.sha256, size=info.size))
