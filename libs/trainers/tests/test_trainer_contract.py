"""What every trainer in a loop of ours keeps: the same events, exact resume after any end, and clear refusals.

Trainings run in forked children, so that they can be killed. YOLO keeps the same in test_tasks.py.
"""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from studio9_task.tail import EventReader
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.errors import BadCheckpoint, BadInput, BadModel, Stopped, UserError
from studio9_trainers.events import (
    BatchDone,
    BestSoFar,
    CheckpointWritten,
    EpochEnded,
    EpochStarted,
    TrainingEvent,
    TrainingStopped,
    Validated,
)
from studio9_trainers.files import read_model
from studio9_trainers.inference import Inference, Seen
from studio9_trainers.loops import loop
from studio9_trainers.run import Run, open_run
from studio9_trainers.state.training import read_state
from studio9_trainers.trainer import get_trainer
from studio9_trainers.truth import check_learnable


@dataclass(frozen=True)
class Case:
    """One trainer and what it is given."""

    framework: str
    task: Any
    architecture: str
    head: str
    options: dict[str, Any]

    def parameters(self, **more: Any) -> dict[str, Any]:
        given = {"epochs": 2, "batch_size": 4, "validation_fraction": 0.25} | self.options | more
        backbone = {"width": 8, "latent": 16} if self.architecture == "STACKED_AUTOENCODER" else {}
        return {
            "architecture": self.architecture,
            "head": self.head,
            "head_parameters": given,
            "architecture_parameters": backbone,
            "input_size": {"width": 64, "height": 64},
        }


CASES = {
    "rfdetr": Case("rfdetr", "detect", "RFDETR_TINY", "RF_DETR", {"queries": 10}),
    "rtdetr": Case("rtdetr", "detect", "RTDETR_S", "RT_DETR", {"queries": 10}),
    "classifier": Case("transfer", "classify", "STACKED_AUTOENCODER", "FCN_2LAYER", {"mirror": 0.2}),
    "yolo classifier": Case("yolo", "classify", "YOLO11N", "YOLO_CLASSIFIER", {"precision": "fp32"}),
    "decoder": Case("transfer", "reconstruct", "STACKED_AUTOENCODER", "STACKED", {"optimizer": "SGD"}),
    "detector": Case("transfer", "detect", "STACKED_AUTOENCODER", "FCOS", {"pyramid": 32, "accumulate": 2}),
}


BACKBONES = {"rtdetr": "model.backbone.", "rfdetr": "detector.model.backbone.backbone."}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def pictures(
    case: Case, scans: Callable[[range], PictureSet], pages_of_digits: Callable[[int], PictureSet]
) -> PictureSet:
    return pages_of_digits(16) if case.task == "detect" else scans(range(16))


@dataclass
class Ended:
    """A training, how it ended, and what it told until then."""

    run: Run
    heard: list[TrainingEvent]
    effective: Mapping[str, Any] = field(default_factory=dict)

    @property
    def losses(self) -> list[Mapping[str, float]]:
        return [event.losses for event in self.heard if isinstance(event, EpochEnded)]

    @property
    def last(self) -> Path:
        return max(self.run.folder.outputs.glob("checkpoints/*.pt"), key=lambda path: path.name.ljust(20, "."))


def trained(
    case: Case,
    pictures: PictureSet,
    folder: Path,
    resume: Path | None = None,
    on_event: Callable[[Run, TrainingEvent], None] | None = None,
    begin: Path | None = None,
    freeze: bool = False,
    **more: Any,
) -> Ended:
    run = open_run(folder, seed=5)
    heard: list[TrainingEvent] = []
    listeners: list[Callable[[TrainingEvent], None]] = [heard.append]
    if on_event is not None:
        listeners.append(lambda event: on_event(run, event))
    trainer = get_trainer(
        case.framework, case.task, config=case.parameters(**more) | {"tune_feature_extractor": not freeze},
        train=pictures, run=run, begin=begin, resume=resume, on_event=listeners,
    )  # fmt: skip
    done = trainer.train()
    done.model.save(run.folder.outputs / "model.pt")
    return Ended(run, heard, done.effective)


@pytest.fixture(scope="module")
def unbroken(case: Case, pictures: PictureSet, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return trained(case, pictures, tmp_path_factory.mktemp("unbroken"))


def same_weights(one: Path, other: Path) -> None:
    states = [read_state(path) for path in (one, other)]
    for part in ("model", "average"):
        assert states[0][part].keys() == states[1][part].keys()
        for name, tensor in states[0][part].items():
            assert torch.equal(tensor, states[1][part][name]), (part, name)


def test_events_come_typed_and_in_order(unbroken: Ended) -> None:
    kinds = [type(event) for event in unbroken.heard if not isinstance(event, BestSoFar)]
    learned = [*[BatchDone] * 3, EpochEnded, Validated]
    durable = [CheckpointWritten, *learned]
    assert kinds == [EpochStarted, *learned, EpochStarted, *durable, CheckpointWritten, TrainingStopped]
    assert any(isinstance(event, BestSoFar) and event.epoch == 1 for event in unbroken.heard)
    told = EventReader(unbroken.run.folder.events).read(10_000)
    assert {"progress", "metric", "checkpoint"} <= {one.type for one in told if hasattr(one, "type")}


def test_what_is_saved_loads_and_works(case: Case, unbroken: Ended, pictures: PictureSet) -> None:
    path = unbroken.run.folder.outputs / "model.pt"
    assert read_model(path).framework == case.framework
    model = get_trainer(case.framework, case.task, run=unbroken.run).load(path)
    seen = Seen(names=model.names)
    inference = Inference(unbroken.run, model, model.thresholds, lambda: None)
    assert len(list(inference.predict(pictures, seen, judge=True))) == len(pictures)
    figures = seen.figures(model.thresholds, "train")
    key = {"detect": "map50", "classify": "accuracy", "reconstruct": "reconstruction_loss"}[case.task]
    assert 0 <= getattr(figures, key) <= 1


def test_killed_in_mid_epoch_it_goes_on_to_the_same_weights(
    case: Case, pictures: PictureSet, unbroken: Ended, tmp_path: Path
) -> None:
    def kill(_: Run, event: TrainingEvent) -> None:
        if isinstance(event, BatchDone) and (event.epoch, event.batch) == (2, 2):
            os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(
        target=trained, args=(case, pictures, tmp_path / "killed"), kwargs={"on_event": kill}
    )
    child.start()
    child.join(600)
    assert child.exitcode == -signal.SIGKILL
    (left,) = (tmp_path / "killed" / "outputs").glob("checkpoints/*.pt")
    again = trained(case, pictures, tmp_path / "again", resume=left)
    assert isinstance(again.heard[0], EpochStarted)
    assert again.heard[0].epoch == 2
    same_weights(unbroken.last, again.last)


@pytest.fixture
def signals() -> Iterator[None]:
    """Whoever heard signals before hears them again afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_paused_it_writes_where_it_is_and_goes_on_from_there(
    case: Case, pictures: PictureSet, unbroken: Ended, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pause is the signal with which a task is told to stop, and another attempt later."""
    monkeypatch.setattr(loop, "GRACE_S", 1e9)  # a busy machine may take seconds for a batch

    def stop(run: Run, event: TrainingEvent) -> None:
        if isinstance(event, BatchDone) and (event.epoch, event.batch) == (1, 2):
            run.stop.listen()
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        trained(case, pictures, tmp_path / "stopped", on_event=stop)
    (left,) = (tmp_path / "stopped" / "outputs").glob("checkpoints/*.pt")
    assert left.name == "epoch-0000-000002.pt"
    again = trained(case, pictures, tmp_path / "again", resume=left)
    assert again.heard[0] == EpochStarted(epoch=1, epochs=2, batches=3, done=2)
    same_weights(unbroken.last, again.last)
    assert unbroken.losses == again.losses  # those of the epoch that was broken off too


def test_half_precision_is_told_and_learns_about_the_same(
    case: Case, pictures: PictureSet, unbroken: Ended, tmp_path: Path
) -> None:
    half = trained(case, pictures, tmp_path, precision="bf16")
    assert (unbroken.effective["precision"], half.effective["precision"]) == ("fp32", "bf16")
    assert half.losses != unbroken.losses
    assert sum(half.losses[0].values()) == pytest.approx(sum(unbroken.losses[0].values()), rel=0.1)
    assert {one.dtype for one in read_state(half.last)["model"].values()} <= {
        torch.float32,
        torch.int64,
    }  # only what is computed has 16 bits


def moves(case: Case, pictures: PictureSet, folder: Path, unbroken: Ended, **more: Any) -> dict[str, float]:
    """How far weights move in an epoch that begins with a model's; those of the backbone alone must fit."""
    begin = unbroken.run.folder.outputs / "model.pt"
    left = trained(case, pictures, folder, begin=begin, epochs=1, average=False, **more)
    after, before = read_state(left.last)["model"], read_model(begin).state
    return {name: float((value.double() - before[name].double()).abs().max()) for name, value in after.items()}


def test_a_frozen_backbone_stays_to_the_bit(case: Case, pictures: PictureSet, unbroken: Ended, tmp_path: Path) -> None:
    far = moves(case, pictures, tmp_path, unbroken, freeze=True)
    known = BACKBONES.get(case.framework, "backbone.")
    backbone = {name for name in far if name.startswith(known)}
    moved = {name for name, one in far.items() if one > 0}
    assert backbone and moved and not moved & backbone, sorted(moved & backbone)[:5]


def test_gradients_are_cut_to_the_length_that_is_asked_for(
    case: Case, pictures: PictureSet, unbroken: Ended, tmp_path: Path
) -> None:
    """To next to nothing, so that no weight moves; what norms have seen does."""
    far = moves(case, pictures, tmp_path, unbroken, clip_norm=1e-20, weight_decay=0.0)
    known = BACKBONES.get(case.framework, "backbone.")
    seen = ("running_mean", "running_var", "num_batches_tracked")
    weights = {name: one for name, one in far.items() if name.startswith(known) and not name.endswith(seen)}
    assert weights and max(weights.values()) < 1e-9


def test_a_checkpoint_of_another_training_is_refused(
    case: Case, pictures: PictureSet, unbroken: Ended, tmp_path: Path
) -> None:
    with pytest.raises(BadCheckpoint, match="other epochs"):
        trained(case, pictures, tmp_path, resume=unbroken.last, epochs=5)


def test_pictures_that_teach_nothing_are_refused(case: Case, pictures: PictureSet) -> None:
    bare = tuple(
        replace(one, record=one.record.model_copy(update={"annotations": ()}), boxes=()) for one in pictures.pictures
    )
    if case.task == "reconstruct":
        check_learnable(case.task, PictureSet("train", bare))
        return
    with pytest.raises(BadInput, match=r"train.*label"):
        check_learnable(case.task, PictureSet("train", bare))


def test_models_of_others_are_refused(case: Case, unbroken: Ended) -> None:
    path = unbroken.run.folder.outputs / "model.pt"
    other = CASES["classifier" if case.framework == "rtdetr" else "rtdetr"]
    with pytest.raises(BadModel, match="choose another"):
        get_trainer(other.framework, other.task, run=unbroken.run).load(path)


def test_two_steps(scans: Callable[[range], PictureSet], tmp_path: Path) -> None:
    """An auto-encoder's backbone, frozen, under a classifier; and one that is computed, not learned."""
    pictures = scans(range(60))
    first = trained(CASES["decoder"], pictures, tmp_path / "first")
    begin = first.run.folder.outputs / "model.pt"
    before = read_model(begin).state
    for head, options in (("FCN_1LAYER", {"epochs": 2}), ("KPCA_MNL", {}), ("RPCA_MNL", {})):
        parameters = CASES["classifier"].parameters() | {
            "head": head, "head_parameters": options, "tune_feature_extractor": False,
        }  # fmt: skip
        run = open_run(tmp_path / head)
        trainer = get_trainer("transfer", "classify", config=parameters, train=pictures, begin=begin, run=run)
        trainer.train().model.save(tmp_path / "model.pt")
        after = read_model(tmp_path / "model.pt").state
        for name, tensor in before.items():
            if name.startswith("backbone."):
                assert torch.equal(tensor, after[name]), (head, name)
        loaded = trainer.load(tmp_path / "model.pt")
        assert len(loaded.names) == 10
    assert [one.code for one in run.warnings] == ["components_clipped"]


def test_computed_heads_need_a_feature_extractor(scans: Callable[[range], PictureSet], tmp_path: Path) -> None:
    parameters = CASES["classifier"].parameters() | {"head": "KPCA_MNL", "head_parameters": {}}
    trainer = get_trainer("transfer", "classify", config=parameters, train=scans(range(20)), folder=tmp_path)
    with pytest.raises(UserError, match="feature extractor"):
        trainer.train()


def test_a_loop_whose_batches_are_slow_writes_nothing_when_told_to_stop(
    scans: Callable[[range], PictureSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "GRACE_S", 0.0)

    def stop(run: Run, event: TrainingEvent) -> None:
        if isinstance(event, BatchDone) and (event.epoch, event.batch) == (2, 1):
            run.stop.wanted = True

    with pytest.raises(Stopped):
        trained(CASES["classifier"], scans(range(16)), tmp_path, on_event=stop)
    left = [path.name for path in tmp_path.glob("outputs/checkpoints/*.pt")]
    assert left == ["epoch-0001.pt"]  # the last boundary was durable already


def test_a_state_is_written_every_so_many_minutes_with_its_step(
    scans: Callable[[range], PictureSet], tmp_path: Path
) -> None:
    """Due every ten minutes, by a clock that goes on with each batch: of four minutes each, after every third."""
    pictures, case = scans(range(28)), CASES["classifier"]
    inside = tmp_path / "inside.pt"

    def written(folder: Path, minutes: int) -> tuple[list[tuple[int, int]], Path]:
        run = open_run(folder, seed=5)
        places: list[tuple[int, int]] = []
        batches = 0

        def hear(event: TrainingEvent) -> None:
            nonlocal batches
            if isinstance(event, BatchDone):
                batches += 1
            elif isinstance(event, CheckpointWritten):
                places.append((event.epoch, event.step))
                if places[-1] == (1, 3):
                    shutil.copyfile(event.written.path, inside)

        given = {"config": case.parameters(), "train": pictures, "run": run, "on_event": hear}
        trainer = get_trainer(case.framework, case.task, **given)
        assert isinstance(trainer, loop.Loop)
        trainer.clock = lambda: 60.0 * minutes * batches
        trainer.train()
        return places, Ended(run, []).last

    often, unbroken = written(tmp_path / "often", 4)
    assert often == [(0, 3), (1, 0), (1, 3), (2, 0)]
    at_ends, plain = written(tmp_path / "at ends", 1)
    assert at_ends == [(1, 0), (2, 0)]
    again = trained(case, pictures, tmp_path / "again", resume=inside)
    assert again.heard[0] == EpochStarted(epoch=2, epochs=2, batches=6, done=3)
    same_weights(unbroken, plain)
    same_weights(unbroken, again.last)
