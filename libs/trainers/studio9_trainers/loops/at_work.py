"""What every network at work in a loop of ours, or loaded again, has."""

from pathlib import Path

import torch

from studio9_task.outputs import Written
from studio9_task.parameters import Thresholds
from studio9_trainers.files import ModelFile, save_model


class AtWork:
    """A network with its file's facts. `network` and `file` are what exports need."""

    def __init__(self, file: ModelFile, network: torch.nn.Module, device: str) -> None:
        self.file = file
        self.network = network.to(device).eval()
        self.device = device

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, by index."""
        return self.file.labels

    @property
    def thresholds(self) -> Thresholds:
        """Those stored with the model."""
        return self.file.thresholds

    def save(self, path: Path) -> Written:
        """Write the model file."""
        return save_model(path, self.file)
