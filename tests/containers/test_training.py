"""A real training: one epoch of YOLO in a container without network.

The trainers' environment is mounted read-only. Where STUDIO9_TEST_TRAINERS_IMAGE names an image of it (made by
deploy/trainers.Dockerfile, 7 GB), the same runs from that.
"""

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from studio9_common.contracts.job import Spec
from studio9_common.contracts.predictions import AttemptManifest
from studio9_task.parameters import TrainParameters

from . import training
from .harness import Platform

TRAINERS_IMAGE = "STUDIO9_TEST_TRAINERS_IMAGE"
LEASE_S = 20.0


@pytest.mark.parametrize("trainers", ["mounted", "in_the_image"])
async def test_one_epoch_of_yolo_without_network(platform: Platform, trainers_python: Path, trainers: str) -> None:
    mounted = trainers == "mounted"
    image = platform.image if mounted else os.environ.get(TRAINERS_IMAGE)
    if not image:
        pytest.skip(f"{TRAINERS_IMAGE} names no image of the trainers (deploy/trainers.Dockerfile makes one, 7 GB)")
    await training.start(platform, trainers_python if mounted else None, image)
    inputs = (await training.pages(platform, "train", 8), await training.pages(platform, "test", 4))
    parameters = TrainParameters(
        architecture="YOLO11N", head="YOLO_HEAD", head_parameters={"epochs": 1, "batch_size": 4}
    )
    spec = Spec(kind="train", parameters=parameters.model_dump(mode="json"), inputs=inputs, seed=7)
    job = await training.send(platform, spec)
    container: Any = await platform.until(lambda: platform.engine.inspect(platform.container(job)), training.TRAINED_S)
    assert container["HostConfig"]["NetworkMode"] == "none"
    assert ("/opt/studio9/python" in {one["Destination"] for one in container["Mounts"]}) == mounted
    result = await training.result(platform, job)
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
