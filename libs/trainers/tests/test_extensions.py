"""Trainers, callbacks and figures of other packages, installed as any package is."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from studio9_task.exits import EXIT_OK
from studio9_task.layout import TaskFolder
from studio9_task.pictures import write_manifest
from studio9_task.request import TaskRequest
from studio9_task.results import read_predictions
from studio9_trainers.data.dataset import PictureSet
from studio9_trainers.errors import Unsupported, UserError
from studio9_trainers.extensions import own_metrics
from studio9_trainers.frameworks import catalogue
from studio9_trainers.run import open_run
from studio9_trainers.task import main, run_task
from studio9_trainers.trainer import get_trainer

THEIRS = Path(__file__).with_name("their_trainer.py")
PARAMETERS: dict[str, Any] = {"architecture": "MEAN", "head": "MEAN_CLASSIFIER", "head_parameters": {"epochs": 2}}
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts their package where packages are found, with entry points: `install("studio9.callbacks", name="place")`."""

    def put(group: str, **points: str) -> None:
        name = f"theirs_{group.partition('.')[2]}"
        folder = tmp_path / "site" / name
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        shutil.copyfile(THEIRS, folder / f"{name}.py")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"[{group}]", *(f"{point} = {name}:{place}" for point, place in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(folder)

    return put


def test_an_installed_trainer_is_offered_and_trains(
    install: Install, scans: Callable[[range], PictureSet], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = scans(range(12))
    with pytest.raises(Unsupported, match=r"theirs.*not installed"):
        get_trainer("theirs", "classify")
    install("studio9.trainers", theirs="FRAMEWORK")
    known = catalogue()
    (head,) = [one for one in known.heads if one.framework == "theirs"]
    assert (head.id, head.architectures) == ("MEAN_CLASSIFIER", ("MEAN",))
    assert {one.kind for one in known.tasks if one.framework == "theirs"} == {"train", "evaluate", "predict", "export"}
    assert main(["--catalogue"]) == EXIT_OK
    assert "MEAN_CLASSIFIER" in capsys.readouterr().out

    run = open_run(tmp_path / "run", seed=1)
    trained = get_trainer("theirs", "classify", config=PARAMETERS, train=pictures, run=run).train()
    assert trained.epochs_done == 2 and set(trained.model.names) == set(map(str, range(10)))

    folder = TaskFolder(tmp_path / "job")
    folder.make()
    for name in ("train", "predict"):
        write_manifest(folder.manifest(name), [one.record for one in pictures.pictures])
    for one in pictures.pictures:
        shutil.copyfile(one.path, folder.picture(one.record.sha256))
    for kind, inputs, given in (("train", ("train",), PARAMETERS), ("predict", ("model", "predict"), {})):
        request = TaskRequest(job="j", kind=kind, framework="theirs", parameters=given, inputs=inputs)
        folder.request.write_text(request.model_dump_json())
        assert run_task(folder) == EXIT_OK, folder.events.read_text()[-2000:]
        if kind == "train":
            folder.model.parent.mkdir()
            shutil.copyfile(folder.outputs / "model.pt", folder.model)
    assert len(list(read_predictions(folder.outputs / "predictions.jsonl"))) == 12


def test_an_installed_callback_hears_every_event(
    install: Install, scans: Callable[[range], PictureSet], tmp_path: Path
) -> None:
    install("studio9.trainers", theirs="FRAMEWORK")
    install("studio9.callbacks", diary="listen")
    run = open_run(tmp_path / "run")
    get_trainer("theirs", "classify", config=PARAMETERS, train=scans(range(12)), run=run).train()
    heard = (run.folder.scratch / "heard.txt").read_text().splitlines()
    assert (heard[0], heard[-1]) == ("EpochStarted of 2", "TrainingStopped of 2")
    assert [heard.count(f"{name} of 2") for name in ("EpochStarted", "Validated", "CheckpointWritten")] == [2, 2, 2]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("fail", "'broken' raised KeyError: 'no room'"),
        ("fail_later", "'broken' raised ValueError: not now"),
        ("nothing_there", "'broken' raised AttributeError"),
    ],
)
def test_a_callback_that_raises_is_named(
    place: str, message: str, install: Install, scans: Callable[[range], PictureSet], tmp_path: Path
) -> None:
    install("studio9.trainers", theirs="FRAMEWORK")
    install("studio9.callbacks", broken=place)
    run = open_run(tmp_path / "run")
    with pytest.raises(UserError, match=f"The callback {message}.*Mend or remove it"):
        get_trainer("theirs", "classify", config=PARAMETERS, train=scans(range(12)), run=run).train()


def test_figures_of_others_carry_their_name() -> None:
    found = own_metrics(("a", "b"), [], [("theirs", lambda labels, judged: {"labels": len(labels)})])
    assert found == {"theirs/labels": 2.0}
    assert own_metrics(("a",), []) == {}


def test_a_metric_that_raises_is_named() -> None:
    def broken(labels: tuple[str, ...], judged: Sequence[Any]) -> Mapping[str, float]:
        return {"x": 1 / len(judged)}

    with pytest.raises(UserError, match="'broken' raised ZeroDivisionError"):
        own_metrics(("a",), [], [("broken", broken)])
