"""What happens to pictures between reading and fitting."""

import json
from dataclasses import replace
from typing import Any

import pytest

from studio9_task.augmentations import Blurring
from studio9_task.events import Artifact, Log, Warned
from studio9_task.lines import read_lines
from studio9_task.parameters import TrainAugmentation
from studio9_task.pictures import PictureRecord
from studio9_task.report import EventWriter
from studio9_trainers.config import training_config
from studio9_trainers.data.dataset import read_pictures
from studio9_trainers.errors import BadInput
from studio9_trainers.frameworks import catalogue
from studio9_trainers.kinds.preparing import bloated, check
from studio9_trainers.run import Run


def test_pictures_that_are_tested_on_must_not_be_trained_on(job: Any, told: Any) -> None:
    folder = job("train", train=range(6), test=[9, 3], val=[20])
    train, test, val = (read_pictures(folder, name) for name in ("train", "test", "val"))
    with EventWriter(folder.events, folder.outputs) as events:
        run = Run(folder, events)
        with pytest.raises(BadInput, match=r"test: 1 of the 2 pictures are in train too.*\(page-3\.png\)"):
            check(run, [train, test])
        check(run, [train, val, replace(test, pictures=test.pictures[:1])], ["disc", "plane"])
    (warned,) = (event for event in told(folder) if isinstance(event, Warned))
    assert (warned.code, "'plane' has no boxes" in warned.message) == ("no_boxes", True)
    assert not [event for event in told(folder) if isinstance(event, Log)]


def test_copies_are_made_of_what_is_fitted_to_and_a_sample_is_announced(job: Any, told: Any) -> None:
    folder = job("train", train=range(3))
    fitted = read_pictures(folder, "train")
    given = json.loads(folder.request.read_text())["parameters"]
    config = training_config(given, catalogue(), 0, begun=False)
    assert config.augmentation is None
    augmentation = TrainAugmentation(
        augmentations=(Blurring(sigmas=(1, 2), bloat_factor=2),), prepare_sample=True
    ).model_dump(mode="json")
    config = training_config(given | {"augmentation": augmentation}, catalogue(), 0, begun=False)
    with EventWriter(folder.events, folder.outputs) as events:
        larger, counts = bloated(Run(folder, events), config, fitted)
        again, _ = bloated(Run(folder, events), config, fitted)
    assert (len(larger), [one.count for one in counts]) == (9, [6])
    assert [one.record for one in again.pictures] == [one.record for one in larger.pictures]
    sample = list(read_lines(folder.outputs / "augmented.jsonl", PictureRecord))
    assert [one.sha256 for one in sample] == [one.record.sha256 for one in larger.pictures[3:]]
    assert {event.name for event in told(folder) if isinstance(event, Artifact)} == {"augmented", "picture"}
