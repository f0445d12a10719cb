"""What trainings in containers share: a worker with the trainers' environment, and pictures to learn from."""

import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from studio9_cli.demo.digits import build_pages
from studio9_common.contracts.job import Input, ObjectRef, Spec
from studio9_common.contracts.messages import WorkerResult, WorkerRun
from studio9_common.ids import new_id
from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box, Tag

from .harness import WORKER, Platform

SIZE = 96
TRAINED_S = 400.0


async def start(platform: Platform, python: Path | None, image: str | None = None, **changes: Any) -> None:
    """A worker whose tasks train: with this environment mounted, or with that of an `image`."""
    platform.notes.add(f"the trainers' environment: {'mounted read-only' if python else f'in the image {image}'}")
    await platform.start_worker(
        hostile=False, runner="container", docker_url=platform.engine.url, task_image=image or platform.image,
        installation=platform.owner.installation, mount_trainers=python is not None,
        trainers_python=python or Path("/nonexistent/python"), output_gib=1.0, task_disk_gib=2.0, task_command="",
        **changes,
    )  # fmt: skip


async def send(platform: Platform, spec: Spec) -> str:
    """The id of a job that runs this."""
    job = new_id()
    await platform.send(WorkerRun(worker=WORKER, job=job, attempt=1, fence=1, spec=spec))
    return job


async def result(platform: Platform, job: str) -> WorkerResult:
    """How it ended, however long the machine takes."""
    await platform.until(lambda: any(one.job == job for one in platform.results), TRAINED_S)
    return await platform.result(job)


async def put(platform: Platform, key: str, content: bytes) -> ObjectRef:
    """Puts something among the organisation's objects."""
    info = await platform.objects.put(f"acme/{key}", content)
    assert info.sha256 is not None
    return ObjectRef(key=info.key, sha256=info.sha256, size=info.size)


async def pages(platform: Platform, split: Any, count: int) -> Input:
    """Pages of digits with their boxes."""
    records = []
    for page in build_pages(platform.folder / split, count, SIZE, split=split):
        boxes = tuple(
            Box(label=box.label, left=box.left, top=box.top, width=box.width, height=box.height) for box in page.boxes
        )
        records.append(await _picture(platform, page.filename, page.path.read_bytes(), boxes))
    return await _manifest(platform, split, records)


async def colours(platform: Platform, split: str, count: int) -> Input:
    """Red and blue pictures, each labelled."""
    records = []
    random = np.random.default_rng(sum(split.encode()))
    for number in range(count):
        label = ("red", "blue")[number % 2]
        pixels = random.integers(0, 120, (SIZE, SIZE, 3), dtype=np.uint8)
        pixels[:, :, 0 if label == "red" else 2] += 120
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        records.append(await _picture(platform, f"{split}-{number}.png", content.getvalue(), (Tag(label=label),)))
    return await _manifest(platform, split, records)


async def _picture(platform: Platform, name: str, content: bytes, shapes: tuple[Box | Tag, ...]) -> PictureRecord:
    sha256 = hashlib.sha256(content).hexdigest()
    ref = await put(platform, f"pictures/{sha256}", content)
    return PictureRecord(
        picture_id=name, version=sha256, sha256=sha256, key=ref.key, filename=name, size=len(content), width=SIZE,
        height=SIZE, annotations=shapes,
    )  # fmt: skip


async def _manifest(platform: Platform, name: str, records: Iterable[PictureRecord]) -> Input:
    lines = b"".join(record.model_dump_json(exclude_none=True).encode() + b"\n" for record in records)
    return Input(name=name, kind="pictures", ref=await put(platform, f"datasets/{new_id()}/manifest.jsonl", lines))
