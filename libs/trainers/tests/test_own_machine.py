"""The page on code of one's own: its trainer, run by its author with the commands that it shows."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio9_task.results import RESULT, read_predictions
from studio9_trainers.cli.main import main

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "train-with-code-of-your-own.md"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The page's package, and what a folder of code has besides."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    folder = tmp_path / "mine"
    for name, content in (("own/trainer.py", code), (".git/config", "x"), ("own/__pycache__/old.pyc", "x")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Red and blue pictures in a folder for each label."""
    random = np.random.default_rng(0)
    for channel, label in ((0, "red"), (2, "blue")):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 120, (48, 48, 3), dtype=np.uint8)
            pixels[:, :, channel] += 120
            Image.fromarray(pixels).save(tmp_path / "pictures" / label / f"{number}.png")
    return tmp_path / "pictures"


def test_it_learns_and_predicts_where_its_author_runs_it(
    mine: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, own = tmp_path / "run", ["--code", str(mine)]
    small = ["--epochs", "30", "--batch", "4", "--rate", "0.1"]
    assert main(["train", str(pictures), *own, "--entry", "own.trainer:Colour", *small, "--out", str(run)]) == 0
    result = RESULT.validate_json((run / "outputs" / "result.json").read_bytes())
    assert (result.kind, result.framework) == ("train", "custom")
    copied = [path for path in (run / "inputs" / "code").rglob("*") if "__pycache__" not in path.parts]
    assert {path.name for path in copied} == {"own", "trainer.py"}
    model, found = run / "outputs" / "model.pt", tmp_path / "found"
    assert main(["predict", str(model), str(pictures), *own, "--no-pictures", "--out", str(found)]) == 0
    predicted = list(read_predictions(found / "outputs" / "predictions.jsonl"))
    assert len(predicted) == 16 and {one.label for one in predicted} == {"red", "blue"}
    assert main(["evaluate", str(model), str(pictures), *own, "--out", str(tmp_path / "judged")]) == 0
    assert "accuracy" in capsys.readouterr().out


def test_half_of_what_it_needs(mine: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*options: str) -> str:
        assert main(["train", str(pictures), "--epochs", "1", "--out", str(tmp_path / "run"), *options]) == 64
        return capsys.readouterr().err

    assert "--entry package.module:Class" in refused("--code", str(mine))
    assert "as --code" in refused("--entry", "own.trainer:Colour")
    assert "give the folder" in refused("--code", str(tmp_path / "nowhere"), "--entry", "own.trainer:Colour")
    assert "runs in one" in refused("--code", str(mine), "--entry", "own.trainer:Colour", "--processes", "2")
    told = refused("--code", str(mine), "--entry", "own.trainer:Missing")
    assert "has no class Missing" in told + (tmp_path / "run" / "events.jsonl").read_text()
