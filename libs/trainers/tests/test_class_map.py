"""Classes that do not fit are found before anything is trained: which file, line and field, and how to mend it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from studio9_trainers.cli.main import main
from studio9_trainers.config import TrainingConfig
from studio9_trainers.errors import BadCheckpoint
from studio9_trainers.state.training import Place, TrainingState, load_state, save_state


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Six pages, each with a box of class 0, and no word yet of what the classes are."""
    for kind in ("images", "labels"):
        (tmp_path / "pages" / kind / "train").mkdir(parents=True)
    for number in range(6):
        pixels = np.random.default_rng(number).integers(0, 255, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pages" / "images" / "train" / f"{number}.png")
        (tmp_path / "pages" / "labels" / "train" / f"{number}.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    return tmp_path / "pages"


def refused(data: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `studio9 train` says when it does not even begin."""
    out = data.parent / "run"
    assert main(["train", str(data), "--epochs", "1", "--out", str(out)]) == 64
    assert not out.exists(), "nothing was begun"
    return capsys.readouterr().err


def test_a_number_that_data_yaml_does_not_name(pages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pages / "data.yaml").write_text("train: images/train\nnames: [square, disc]\n")
    (pages / "labels" / "train" / "3.txt").write_text("0 0.5 0.5 0.25 0.25\n7 0.2 0.2 0.1 0.1\n")
    assert (
        "labels/train/3.txt, line 2: class 7 is not among the names of data.yaml: "
        "add it there, or give one of 0 (square), 1 (disc)." in refused(pages, capsys)
    )


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("[square, square]", "square occurs more than once: give each label one number"),
        ("{-1: square, 0: disc}", "a number is negative: count from 0"),
        ("square", "data.yaml, names: give a list of labels, or labels by number"),
        ("[]", "or give one of none yet"),
    ],
)
def test_names_that_are_no_classes(pages: Path, names: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    (pages / "data.yaml").write_text(f"train: images/train\nnames: {names}\n")
    assert says in refused(pages, capsys)


def test_a_category_that_coco_does_not_list(pages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted((pages / "images" / "train").iterdir())
    whole = {
        "images": [
            {"id": number, "file_name": f"train/{file.name}", "width": 48, "height": 48}
            for number, file in enumerate(files)
        ],
        "categories": [{"id": number, "name": f"shape {number}"} for number in range(1, 8)],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1 if number != 4 else 9, "bbox": [4, 4, 9, 9]}
            for number in range(len(files))
        ],
    }
    data = pages / "labels.json"
    data.write_text(json.dumps(whole))
    assert (
        "labels.json, annotations[4].category_id: class 9 is not among the categories: add it there, or give one of "
        "1 (shape 1), 2 (shape 2), 3 (shape 3), 4 (shape 4), 5 (shape 5), …." in refused(data, capsys)
    )


def test_a_checkpoint_of_a_training_with_other_classes(tmp_path: Path) -> None:
    config = TrainingConfig.model_validate(
        {
            "architecture": "A", "head": "H", "epochs": 2, "batch_size": 1, "optimizer": "SGD", "patience": 0,
            "seed": 0, "backbone_rate": 0.1, "head_rate": 0.1, "validation_fraction": 0.1,
        }
    )  # fmt: skip
    state = {"weight": torch.zeros(2)}
    made = TrainingState("transfer", config, ("disc", "square"), Place(1), state, state, {}, {}, None)
    path = tmp_path / "state.pt"
    save_state(path, made)
    assert load_state(path, "transfer", config, ("disc", "square")).place.epoch == 1
    with pytest.raises(BadCheckpoint, match="of a training with other labels: start without it"):
        load_state(path, "transfer", config, ("disc", "ship"))
