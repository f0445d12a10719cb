"""Small labelled pages made on the spot, and task folders that hold them."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from studio9_task.events import Event
from studio9_task.layout import TaskFolder
from studio9_task.parameters import TrainParameters
from studio9_task.pictures import PictureRecord, write_manifest
from studio9_task.request import TaskRequest
from studio9_task.shapes import Box, Shape, Tag
from studio9_task.tail import BadEvent, EventReader
from studio9_trainers.data.dataset import Picture, PictureSet

SIDE = 96


def page(folder: TaskFolder, seed: int) -> PictureRecord:
    """A page with two squares and a disc, staged in a task's folder."""
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(200, 255, (SIDE, SIDE, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    boxes = []
    for place, label in zip(random.permutation(4)[:3], ("square", "square", "disc"), strict=True):
        size = int(random.integers(18, 34))
        left = int(place % 2 * 48 + random.integers(0, 48 - size))
        top = int(place // 2 * 48 + random.integers(0, 48 - size))
        corners = (left, top, left + size - 1, top + size - 1)
        if label == "square":
            draw.rectangle(corners, fill=(20, 20, 160))
        else:
            draw.ellipse(corners, fill=(160, 20, 20))
        boxes.append(Box(label=label, left=left, top=top, width=size, height=size))
    path = folder.root / "page.png"
    image.save(path)
    return staged(folder, path, f"page-{seed}.png", SIDE, SIDE, boxes)


def staged(
    folder: TaskFolder, path: Path, name: str, width: int, height: int, boxes: Sequence[Box] = ()
) -> PictureRecord:
    """Put a picture file among the inputs."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    folder.picture(digest).write_bytes(content)
    return PictureRecord(
        picture_id=name, version=digest, sha256=digest, key=f"o/pictures/{digest}", filename=name, size=len(content),
        width=width, height=height, annotations=tuple(boxes),
    )  # fmt: skip


Job = Callable[..., TaskFolder]


@pytest.fixture(scope="session")
def stage() -> Callable[..., PictureRecord]:
    """Puts a picture file among a task's inputs."""
    return staged


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Makes a task's folder with pages: `job("train", train=range(10), test=range(50, 54), head={...})`."""

    def make(kind: str, head: dict[str, Any] | None = None, **inputs: Sequence[int]) -> TaskFolder:
        folder = TaskFolder(tmp_path_factory.mktemp("job"))
        folder.make()
        for name, seeds in inputs.items():
            write_manifest(folder.manifest(name), [page(folder, seed) for seed in seeds])
        parameters = TrainParameters(
            architecture="YOLO11N",
            head="YOLO_HEAD",
            head_parameters={"epochs": 3, "batch_size": 4, "recipe_learning_rate": 0.005} | (head or {}),
        )
        request = TaskRequest(
            job="j",
            kind=kind,
            framework="yolo",
            parameters=parameters.model_dump(mode="json") if kind == "train" else {},
            seed=7,
            inputs=tuple(inputs),
        )
        folder.request.write_text(request.model_dump_json())
        return folder

    return make


# Fails at the first look-up or connection, whatever makes it.
GUARDED = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        print("NETWORK", event, arguments, file=sys.stderr, flush=True)
        raise RuntimeError("no network")

sys.addaudithook(refuse)
from studio9_trainers.task import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="session")
def start() -> Iterator[Callable[[TaskFolder], "subprocess.Popen[str]"]]:
    """Starts a task in a process of its own that may not use the network; what is left at the end is killed."""
    begun: list[subprocess.Popen[str]] = []

    def begin(folder: TaskFolder) -> "subprocess.Popen[str]":
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder.scratch), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            [sys.executable, "-c", GUARDED, str(folder.root)],
            env=environment,
            cwd=folder.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def told() -> Callable[[TaskFolder], list[Event]]:
    """Reads all events of a task; every line must be one."""

    def read(folder: TaskFolder) -> list[Event]:
        found = EventReader(folder.events).read(100_000)
        good = [event for event in found if not isinstance(event, BadEvent)]
        assert len(good) == len(found)
        return good

    return read


def _kept(folder: Path, name: str, pixels: Any, shapes: Sequence[Shape]) -> Picture:
    """A picture file in a folder, with its record."""
    path = folder / name
    Image.fromarray(pixels).save(path)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    record = PictureRecord(
        picture_id=name, version=digest, sha256=digest, key=f"o/pictures/{digest}", filename=name, size=len(content),
        width=pixels.shape[1], height=pixels.shape[0], annotations=tuple(shapes),
    )  # fmt: skip
    return Picture(record, path, record.boxes)


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Callable[[range], PictureSet]:
    """Real scans of digits (they ship inside scikit-learn), each with its label."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()

    def make(numbers: range) -> PictureSet:
        folder = tmp_path_factory.mktemp("scans")
        made = []
        for number in numbers:
            pixels = np.kron((digits.images[number] * 15.9).astype(np.uint8), np.ones((4, 4), np.uint8))
            tag = Tag(label=str(digits.target[number]))
            made.append(_kept(folder, f"scan-{number}.png", pixels, [tag]))
        return PictureSet("train", tuple(made))

    return make


@pytest.fixture(scope="session")
def pages_of_digits(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], PictureSet]:
    """Pages of three real scans of digits each, with their boxes."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()

    def make(count: int) -> PictureSet:
        folder = tmp_path_factory.mktemp("pages")
        made = []
        for number in range(count):
            random = np.random.default_rng(number)
            pixels = np.zeros((96, 96), np.uint8)
            boxes = []
            for place in random.permutation(4)[:3]:
                one = int(random.integers(0, 1_000))
                scan = np.kron((digits.images[one] * 15.9).astype(np.uint8), np.ones((4, 4), np.uint8))
                left, top = (int(place) % 2 * 48 + 8, int(place) // 2 * 48 + 8)
                pixels[top : top + 32, left : left + 32] = scan
                boxes.append(Box(label=str(digits.target[one] % 2), left=left, top=top, width=32, height=32))
            made.append(_kept(folder, f"page-{number}.png", pixels, boxes))
        return PictureSet("train", tuple(made))

    return make
