"""Measures what an exact state at every epoch's end costs a training: the demo's recipe with and without it."""

import hashlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from answering import answer, one_core
from PIL import Image
from sklearn.datasets import load_digits

from studio9_task.pictures import PictureRecord
from studio9_task.shapes import Box
from studio9_trainers.config import training_config
from studio9_trainers.data.dataset import Picture, PictureSet
from studio9_trainers.events import EpochStarted, TrainingEvent, TrainingStopped
from studio9_trainers.frameworks import catalogue
from studio9_trainers.run import Run, open_run
from studio9_trainers.trainer import get_trainer

PAGES, SIDE, DIGITS = 160, 192, 11
FOLDER = Path(tempfile.mkdtemp(prefix="studio9-bench-state-"))


def pages(count: int) -> PictureSet:
    """Pages of real scans of digits, 11 on each."""
    digits = load_digits()
    (FOLDER / "pages").mkdir(exist_ok=True)
    made = []
    for number in range(count):
        random = np.random.default_rng(number)
        pixels = np.zeros((SIDE, SIDE), np.uint8)
        boxes = []
        for place in random.permutation(16)[:DIGITS].tolist():
            one = int(random.integers(0, len(digits.images)))
            left, top = place % 4 * 48 + 8, place // 4 * 48 + 8
            pixels[top : top + 32, left : left + 32] = np.kron(digits.images[one] * 15.9, np.ones((4, 4)))
            boxes.append(Box(label=str(digits.target[one]), left=left, top=top, width=32, height=32))
        path = FOLDER / "pages" / f"{number}.png"
        Image.fromarray(pixels).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        record = PictureRecord(
            picture_id=path.name, version=digest, sha256=digest, key="k", filename=path.name, size=1,
            width=SIDE, height=SIDE, annotations=tuple(boxes),
        )  # fmt: skip
        made.append(Picture(record, path, tuple(boxes)))
    return PictureSet("train", tuple(made))


class Unsaved(Run):
    """The same run, its random choices included, but it writes no states."""

    @property
    def leads(self) -> bool:
        """Only the process that leads writes states."""
        return False


def trained(state: bool, seconds: float, count: int = PAGES) -> dict[str, Any]:
    """Pictures a second from the first epoch's beginning to the last one's end, states and validations included, and
    seconds of the processor an epoch, system and writing included. A state still to be written holds up the end."""
    known = pages(count)
    parameters = {"architecture": "YOLO11N", "head": "YOLO_HEAD"}
    epochs = 1 if seconds < 1 else 3
    config = training_config(parameters | {"head_parameters": {"epochs": epochs}}, catalogue(), seed=1, begun=False)
    moments: list[tuple[float, float]] = []

    def hear(event: TrainingEvent) -> None:
        if isinstance(event, TrainingStopped) or (isinstance(event, EpochStarted) and event.epoch == 1):
            moments.append((time.perf_counter(), time.process_time()))

    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        run = open_run(folder) if state else Unsaved(**vars(open_run(folder)))
        get_trainer("yolo", "detect", config=config, train=known, run=run, on_event=hear).train()
        run.events.close()
        took, spent = (last - first for first, last in zip(moments[0], moments[-1], strict=True))
        saving = run.seconds.get("model_saving", 0.0)
    return {"pictures_per_s": epochs * count / took, "processor_s": spent / epochs, "saving_s": saving / epochs}


def with_state(seconds: float) -> dict[str, Any]:
    """As every training does."""
    return trained(True, seconds)


def without_state(seconds: float) -> dict[str, Any]:
    """The same, but nothing is written."""
    return trained(False, seconds)


if __name__ == "__main__":
    one_core()
    answer({"with_state": with_state, "without_state": without_state})
