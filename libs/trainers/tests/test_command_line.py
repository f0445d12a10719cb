"""The command line: from pictures in a folder to a model, judged, used, tiled and exported, without the platform."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from studio9_task.results import read_predictions
from studio9_trainers.cli.data import read_data, recognised
from studio9_trainers.cli.main import COMMANDS, main
from studio9_trainers.data.dataset import read_pictures
from studio9_trainers.errors import BadInput


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pages with a square each, labelled as YOLO has it."""
    folder = tmp_path_factory.mktemp("pages")
    random = np.random.default_rng(0)
    for number in range(10):
        left, top = random.integers(4, 44, 2).tolist()
        image = Image.new("RGB", (64, 64), (230, 230, 230))
        ImageDraw.Draw(image).rectangle((left, top, left + 15, top + 15), fill=(20, 20, 160))
        for kind in ("images", "labels"):
            (folder / kind / "train").mkdir(parents=True, exist_ok=True)
        image.save(folder / "images" / "train" / f"{number}.png")
        place = f"0 {(left + 8) / 64} {(top + 8) / 64} 0.25 0.25\n"
        (folder / "labels" / "train" / f"{number}.txt").write_text(place)
    (folder / "data.yaml").write_text("train: images/train\nnames: [square]\n")
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert f"studio9 {name}" in told and "--out" in told


def test_a_model_from_a_folder_and_back(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--epochs", "2", "--batch", "4", "--size", "64", "--rate", "0.005"]
    assert main(["train", str(pages), *small, "--out", "run", "--seed", "3"]) == 0
    told = capsys.readouterr()
    model = tmp_path / "run" / "outputs" / "model.pt"
    assert "map50" in told.out and "square" in told.out and "epoch 2/2" in told.err
    assert main(["train", str(pages), *small, "--out", "run"]) == 64  # an earlier result lies there
    assert "another folder" in capsys.readouterr().err

    assert main(["evaluate", str(model), str(pages)]) == 0
    assert "map50" in capsys.readouterr().out
    assert (tmp_path / "evaluation" / "outputs" / "result.json").is_file()

    pictures = pages / "images" / "train"
    assert main(["predict", str(model), str(pictures), "--confidence", "0.001", "--tile", "48", "--overlap", "24"]) == 0
    assert "10 pictures" in capsys.readouterr().out
    found = list(read_predictions(tmp_path / "predictions" / "outputs" / "predictions.jsonl"))
    drawn = list((tmp_path / "predictions" / "pictures").iterdir())
    assert len(found) == len(drawn) == 10 and any(one.boxes for one in found)

    assert main(["export", str(model), "--to", "safetensors", "onnx", "--name", "Squares"]) == 0
    assert "not judged" in capsys.readouterr().out
    assert "# Squares" in (tmp_path / "export" / "outputs" / "card.md").read_text()


def test_tiles_are_read_back_as_a_data_set(pages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tiles"
    assert main(["tile", str(pages), "--size", "40", "--overlap", "16", "--to", "png", "--out", str(out)]) == 0
    assert "40 tiles" in capsys.readouterr().out
    assert recognised(out) == "tiles"
    read = read_data(out)
    assert len(read.samples) == 40 and read.classes.names == ("square",)
    assert main(["tile", str(pages / "images" / "train" / "0.png"), "--size", "32", "--out", str(tmp_path / "b")]) == 64
    assert "overlap" in capsys.readouterr().err
    bare = ["tile", str(pages / "images" / "train" / "0.png"), "--size", "32", "--overlap", "0", "--out"]
    assert main([*bare, str(tmp_path / "b")]) == 0
    assert "4 tiles" in capsys.readouterr().out


def test_tuning_writes_its_study_and_names_a_winner(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from studio9_trainers.tuning import search

    monkeypatch.chdir(tmp_path)
    begun: list[tuple[str, int, int]] = []

    class Candidate:
        """Stands in for a training, which the trainers' own tests run; it is given all that a training needs."""

        def __init__(self, framework, task, config, train, val, folder, threads) -> None:
            assert len(train) + len(val) == len(read_pictures(search_folder(tmp_path), "train"))
            begun.append((framework, config.seed, config.batch_size))
            self.batch = config.batch_size

        def to(self, epochs: int) -> float:
            return epochs - abs(self.batch - 6) / 10

    monkeypatch.setattr(search, "TrainingCandidate", Candidate)
    assert main(["tune", str(pages), "--vary", "batch_size=2..9", "--trials", "4", "--epochs", "4"]) == 0
    told = capsys.readouterr()
    assert "The winner is trial" in told.out and "trial 0: batch_size" in told.err
    assert (tmp_path / "tuning" / "study.json").is_file()
    assert len(begun) == 4 + 3 and begun[0][0] == "yolo" and {seed for _, seed, _ in begun[4:]} == {1, 2, 3}
    assert main(["tune", str(pages), "--vary", "batch_size", "--out", "other"]) == 64


def search_folder(folder: Path):
    from studio9_task.layout import TaskFolder

    return TaskFolder(folder / "tuning" / "data")


def test_a_training_is_shared_by_so_many_processes(pages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def run(folder: Path, processes: int) -> int:
        started.append(processes)
        return 64

    monkeypatch.setattr("studio9_trainers.cli.job.run_distributed", run)
    assert main(["train", str(pages), "--processes", "2", "--out", str(pages.parent / "shared")]) == 64
    assert started == [2]


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(tmp_path / "no.pt"), str(tmp_path)]) == 64
    assert "model is missing" in capsys.readouterr().err
    with pytest.raises(BadInput, match="no such file or folder"):
        read_data(tmp_path / "nothing")
    with pytest.raises(BadInput, match="there are no pictures"):
        read_data(tmp_path)
