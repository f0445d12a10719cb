"""Class weights: what they do in a step where a head takes them; every other head refuses them by name."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from studio9_task.catalogue import Head
from studio9_trainers.config import LoopOptions, TrainingConfig, training_config
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.errors import UserError
from studio9_trainers.frameworks import catalogue, frameworks
from studio9_trainers.loops.batches import Batch
from studio9_trainers.run import open_run
from studio9_trainers.trainer import Material, Order, get_trainer
from studio9_trainers.transfer.offered import STACKED_AUTOENCODER
from studio9_trainers.transfer.trainer import Classification
from studio9_trainers.truth import label_of

KNOWN = catalogue()


def takes(head: Head) -> bool:
    return any(one.name == "class_weights" for one in head.parameters)


HEADS = [one.id for one in KNOWN.heads if takes(one)]
Scans = Callable[[range], PictureSet]


def bound(scans: Scans, folder: Path, head: str, smoothing: float) -> tuple[Classification, Batch]:
    """A training with balanced classes before its first step, and its only batch. A label, 9, is in `val` alone."""
    val = scans(range(14))
    train = PictureSet("train", tuple(one for one in val.pictures if label_of(one) != "9"))
    given: dict[str, Any] = {"class_weights": "balanced", "batch_size": 20, "label_smoothing": smoothing}
    parameters = {"architecture": STACKED_AUTOENCODER, "head": head, "head_parameters": given}
    config = training_config(parameters, KNOWN, 3, begun=False)
    loop = Classification("classify", Order(open_run(folder), config, Material(train, val)))
    loop.prepare_dataset()
    torch.manual_seed(3)
    loop.model = loop.create_model().eval()
    (batch,) = loop.train_batches.epoch(0)
    assert len(batch.pictures) == 13 and len(loop.labels) == 10
    return loop, batch


def part(batch: Batch, numbers: Iterable[int]) -> Batch:
    chosen = list(numbers)
    pictures, placed = ([whole[one] for one in chosen] for whole in (batch.pictures, batch.placed))
    return Batch(batch.pixels[chosen], tuple(pictures), tuple(placed), batch.side)


def gradients(loop: Classification, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(loop.model.parameters())))


def test_a_trainer_takes_them() -> None:
    assert {"FCN_1LAYER", "FREE_SCALE"} <= set(HEADS), "the tests below are for somebody"


@pytest.mark.parametrize("head", HEADS)
def test_a_rare_label_counts_as_much_as_a_frequent_one(scans: Scans, tmp_path: Path, head: str) -> None:
    loop, batch = bound(scans, tmp_path, head, smoothing=0.2)
    shown = [label_of(one) for one in batch.pictures]
    counts = Counter(shown)
    assert set(counts.values()) == {1, 2}
    weights = torch.tensor([13 / (9 * counts[label]) if counts[label] else 0.0 for label in loop.labels])
    targets = torch.tensor([loop.labels.index(str(label)) for label in shown])
    wanted = 0.8 * torch.nn.functional.one_hot(targets, 10) + 0.2 / 10
    logarithms = loop.model(batch.pixels.float() / 255).log_softmax(1)
    by_hand = -(wanted * weights * logarithms).sum() / 13
    loss = loop.losses(loop.model, batch)["loss"]
    torch.testing.assert_close(loss, by_hand)
    alone = [loop.losses(loop.model, part(batch, [number]))["loss"] for number in range(13)]
    torch.testing.assert_close(torch.stack(alone).mean(), loss, msg="weights of a batch of one picture cancel out")
    unweighted = -(wanted * logarithms).sum() / 13
    assert abs(float((loss - unweighted).detach())) > 1e-3


@pytest.mark.parametrize("head", HEADS)
def test_a_label_that_weighs_nothing_moves_nothing(scans: Scans, tmp_path: Path, head: str) -> None:
    loop, batch = bound(scans, tmp_path, head, smoothing=0.0)
    others = [number for number, one in enumerate(batch.pictures) if label_of(one) != "0"]
    assert len(others) == 11
    whole = gradients(loop, loop.losses(loop.model, batch)["loss"])
    without = gradients(loop, loop.losses(loop.model, part(batch, others))["loss"] * 11 / 13)
    loop._weights[loop.labels.index("0")] = 0.0
    weightless = gradients(loop, loop.losses(loop.model, batch)["loss"])
    torch.testing.assert_close(weightless, without)
    assert any(float((one - other).abs().max()) > 1e-4 for one, other in zip(whole, weightless, strict=True))


@pytest.mark.parametrize("head", [one for one in KNOWN.heads if not takes(one)], ids=lambda head: head.id)
def test_a_head_that_does_not_weigh_classes_says_so(tmp_path: Path, head: Head) -> None:
    given: dict[str, Any] = {"architecture": head.architectures[0], "head": head.id}
    with pytest.raises(UserError, match=r"head_parameters\.class_weights"):
        training_config(given | {"head_parameters": {"class_weights": "balanced"}}, KNOWN, 0, begun=False)
    config = TrainingConfig(
        **given, epochs=1, batch_size=1, optimizer="AdamW", patience=0, seed=0, backbone_rate=0.1, head_rate=0.1,
        validation_fraction=0.1, loop=LoopOptions(class_weights="balanced"),
    )  # fmt: skip
    task = next(one.task for one in frameworks()[head.framework].capabilities())
    with pytest.raises(UserError, match=f"class_weights = 'balanced': {head.id} does not weigh classes: leave it"):
        get_trainer(head.framework, task, config=config, folder=tmp_path)
