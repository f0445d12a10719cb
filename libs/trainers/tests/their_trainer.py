"""A trainer and a callback of another package, as the tests install them: labels by mean colours, and a list of what is
told."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from studio9_task.catalogue import Architecture, Head
from studio9_task.outputs import Written
from studio9_trainers.capabilities import Capabilities, Task
from studio9_trainers.config import TrainingConfig
from studio9_trainers.data.dataset import Picture
from studio9_trainers.data.decode import Pixels
from studio9_trainers.events import Listener, TrainingEvent
from studio9_trainers.files import ModelFile, State, load_model, save_model
from studio9_trainers.frameworks import Framework
from studio9_trainers.loops.batches import Batch
from studio9_trainers.loops.loop import Loop
from studio9_trainers.models import Model, Scores
from studio9_trainers.offered import common_parameters, loop_parameters
from studio9_trainers.run import Run
from studio9_trainers.trainer import Order, Trainer
from studio9_trainers.truth import label_of

CAPABILITIES = Capabilities("theirs", "classify", loop="own", licence="MIT", resume_inside_epochs=True)
OWN: dict[str, Any] = {"framework": "theirs", "package": "theirs", "module": "theirs", "class_name": "Colours"}


class Colours(Loop):
    """Trains and loads them."""

    framework = "theirs"

    @property
    def capabilities(self) -> Capabilities:
        return CAPABILITIES

    def create_model(self) -> torch.nn.Module:
        return torch.nn.Linear(3, len(self.labels))

    def losses(self, model: torch.nn.Module, batch: Batch) -> Mapping[str, torch.Tensor]:
        wanted = torch.tensor([self.labels.index(label_of(one) or "") for one in batch.pictures])
        return {"loss": functional.cross_entropy(model(batch.pixels.float().mean(dim=(2, 3)) / 255), wanted)}

    def validate(self, model: torch.nn.Module) -> tuple[dict[str, float], float]:
        losses = [float(self.losses(model, batch)["loss"]) for batch in self.val_batches.epoch(0)]
        return {"loss": sum(losses)}, -sum(losses)

    def export_model(self, weights: State) -> Model:
        config, _ = self.order.training
        facts = (self.framework, self.task, config.architecture, config.head, self.labels, self.input_size)
        return ColourModel(ModelFile(*facts, config.thresholds, weights))

    def load(self, path: Path) -> Model:
        return ColourModel(load_model(path, self.framework, self.task))


class ColourModel:
    """See Classifier."""

    def __init__(self, file: ModelFile) -> None:
        self.file, self.names, self.thresholds = file, file.labels, file.thresholds
        self.network = torch.nn.Linear(3, len(file.labels))
        self.network.load_state_dict(file.state)

    def save(self, path: Path) -> Written:
        return save_model(path, self.file)

    def classify(self, pictures: Iterable[tuple[Picture, Pixels]]) -> Iterator[tuple[Picture, Scores]]:
        for picture, pixels in pictures:
            with torch.no_grad():
                mean = torch.from_numpy(pixels.mean(axis=(0, 1))).float() / 255
                yield picture, self.network(mean).softmax(0).double().numpy()


def trainer(task: Task, order: Order) -> Trainer:
    return Colours(task, order)


FRAMEWORK = Framework(
    name="theirs",
    architectures=(Architecture(id="MEAN", name="Mean colour", **OWN),),
    heads=(
        Head(
            id="MEAN_CLASSIFIER", name="By colour", consumer="classifier", architectures=("MEAN",),
            parameters=(*common_parameters(epochs=2), *loop_parameters()), **OWN,
        ),
    ),
    capabilities=lambda: (CAPABILITIES,),
    trainer=trainer,
)  # fmt: skip


def listen(run: Run, config: TrainingConfig) -> Listener:
    """Writes down what is told."""
    heard = run.folder.scratch / "heard.txt"

    def hear(event: TrainingEvent) -> None:
        with heard.open("a") as lines:
            lines.write(f"{type(event).__name__} of {config.epochs}\n")

    return hear


def fail(run: Run, config: TrainingConfig) -> Listener:
    """Raises at once."""
    raise KeyError("no room")


def fail_later(run: Run, config: TrainingConfig) -> Listener:
    """Raises at the first that is told."""

    def hear(event: TrainingEvent) -> None:
        raise ValueError("not now")

    return hear
