"""Going on exactly: what a state's file holds, and how it is written while a training goes on."""

import json
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from studio9_task.events import Checkpoint
from studio9_task.tail import EventReader
from studio9_trainers.config import TrainingConfig
from studio9_trainers.errors import BadCheckpoint, Diverged, Stopped
from studio9_trainers.events import CheckpointWritten, TrainingEvent
from studio9_trainers.run import Run, open_run
from studio9_trainers.state.checkpoints import Checkpoints
from studio9_trainers.state.training import Place, TrainingState, load_state, read_state, save_state

CONFIG = TrainingConfig.model_validate(
    {
        "architecture": "A", "head": "H", "epochs": 2, "batch_size": 1, "optimizer": "SGD", "patience": 0,
        "seed": 0, "backbone_rate": 0.1, "head_rate": 0.1, "validation_fraction": 0.1,
    }
)  # fmt: skip


def state(epoch: int = 1) -> TrainingState:
    """With tensors of several kinds, orders in memory and sizes."""
    random = torch.Generator().manual_seed(epoch)
    weights = {
        "conv": torch.randn(4, 3, 2, 2, generator=random).to(memory_format=torch.channels_last),
        "turned": torch.randn(3, 5, generator=random).t(),
        "parted": torch.randn(6, 6, generator=random)[::2, ::3],
        "half": torch.randn(7, generator=random).bfloat16(),
        "seen": torch.tensor(2**40 + epoch),
    }
    optimizer = {
        "state": {0: {"step": torch.tensor(3.0), "mean": weights["conv"] * 2, "sure": None}},
        "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0]}],
    }
    scaler = {"scale": 2.0**16}
    return TrainingState("transfer", CONFIG, ("a", "b"), Place(epoch), weights, weights, optimizer, scaler, None)


def test_a_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    made = state()
    save_state(tmp_path / "new.pt", made)
    facts = {"framework": "transfer", "config": CONFIG.model_dump(mode="json"), "labels": ["a", "b"]}
    first = {name: getattr(made, name) for name in ("model", "average", "optimizer", "scaler", "best")}
    first |= {"format": "studio9-training", "schema": 1, "facts": json.dumps(facts | {"place": {"epoch": 1}})}
    torch.save(first, tmp_path / "of the first schema.pt")
    for path in tmp_path.iterdir():
        found = load_state(path, "transfer", CONFIG, ("a", "b"))
        for name, tensor in made.model.items():
            assert torch.equal(found.model[name], tensor) and found.model[name].shape == tensor.shape
        conv = found.optimizer["state"][0].pop("mean")
        assert torch.equal(conv, made.model["conv"] * 2)
        assert conv.is_contiguous(memory_format=torch.channels_last)
        assert found.optimizer == {
            "state": {0: {"step": torch.tensor(3.0), "sure": None}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0]}],
        }
        assert (found.place, found.scaler, found.best) == (Place(1), {"scale": 65536.0}, None)
    new = read_state(tmp_path / "new.pt")
    assert new["model"]["half"].dtype == torch.float32, "weights are kept in full precision"
    sizes = {tensor.untyped_storage().nbytes() for tensor in new["model"].values()}
    assert sizes == {192, 60, 24, 28, 8}, "each on its own, so that none keeps the memory of all"


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    save_state(path, state())
    content = torch.load(path, weights_only=True)
    content["model"]["blocks"]["float32"] = torch.zeros(3)
    torch.save(content, path)
    with pytest.raises(BadCheckpoint, match="it is damaged"):
        load_state(path, "transfer", CONFIG, ("a", "b"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return open_run(tmp_path)


def told(run: Run) -> list[int]:
    """The epochs of the checkpoints that the platform hears of."""
    return [event.epoch for event in EventReader(run.folder.events).read(1000) if isinstance(event, Checkpoint)]


def test_what_is_written_is_the_state_as_it_was(run: Run) -> None:
    """However the training goes on, and listeners hear of it in its own thread, once it is durable."""
    heard: list[TrainingEvent] = []
    run.listeners.append(heard.append)
    now = state()
    with Checkpoints(run) as checkpoints:
        for epoch in (1, 2, 3):
            checkpoints.write(replace(now, place=Place(epoch)))
            assert [one.epoch for one in heard if isinstance(one, CheckpointWritten)] == list(range(1, epoch))
            for tensor in now.model.values():
                tensor.add_(1)
    assert told(run) == [1, 2, 3]
    assert [one.epoch for one in heard if isinstance(one, CheckpointWritten)] == [1, 2, 3]
    left = sorted((run.folder.outputs / "checkpoints").iterdir())
    assert [path.name for path in left] == ["epoch-0002.pt", "epoch-0003.pt"]
    for added, path in enumerate(left, 1):
        for name, tensor in state().model.items():
            for _ in range(added):
                tensor.add_(1)
            assert torch.equal(read_state(path)["model"][name], tensor)


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 4 KB: writing fails as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("end", [None, Stopped(), Diverged()])
def test_a_state_that_cannot_be_written_ends_the_training(
    run: Run, end: Exception | None, request: pytest.FixtureRequest
) -> None:
    """At the next batch, told by the system's own error; the one before is still there."""
    checkpoints = Checkpoints(run)
    checkpoints.write(state(1))
    checkpoints.settle()
    request.getfixturevalue("small_files")
    with pytest.raises(Diverged if isinstance(end, Diverged) else OSError) as failed, checkpoints:
        checkpoints.write(state(2))
        if end is not None:
            raise end
        checkpoints.settle()
    assert "File too large" in "".join([str(failed.value), *getattr(failed.value, "__notes__", [])])
    (left,) = (run.folder.outputs / "checkpoints").iterdir()
    assert (left.name, told(run)) == ("epoch-0001.pt", [1])
    assert read_state(left)["facts"]["place"]["epoch"] == 1
