"""The kinds `augment` and `analyse`, from a staged album to announced files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio9_task.analysis import Analysis
from studio9_task.augmentations import AugmentedRecord, augmented_count
from studio9_task.events import Artifact, Failed, Warned
from studio9_task.layout import TaskFolder
from studio9_task.lines import read_lines
from studio9_task.pictures import read_manifest, write_manifest
from studio9_task.results import RESULT, AnalyseResult, AugmentResult, PredictedBox, PredictedPicture
from studio9_task.shapes import Tag
from studio9_trainers.augmentation.training import bloat
from studio9_trainers.augmentation.usual import usual_steps
from studio9_trainers.data.dataset import read_pictures
from studio9_trainers.data.decode import decode
from studio9_trainers.frameworks import catalogue
from studio9_trainers.task import run_task

STEPS = [
    {"augmentationType": "MIRRORING", "flipAxes": [0, 1], "bloatFactor": 2},
    {"augmentationType": "CROPPING", "cropAreaFractions": [0.25], "cropsPerImage": 3, "bloatFactor": 3},
    {"augmentationType": "NOISING", "noiseSignalRatios": [0.1, 0.2], "bloatFactor": 1},
]


@pytest.fixture
def album(job: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a kind on an album of pages: `album("augment", range(4), parameters)`."""
    monkeypatch.setattr("studio9_trainers.stop.StopFlag.listen", lambda self: None)

    def made(kind: str, pages: Any, parameters: dict[str, Any], code: int = 0) -> TaskFolder:
        folder: TaskFolder = job(kind, pictures=pages)
        request = json.loads(folder.request.read_text()) | {"framework": "studio9", "parameters": parameters}
        folder.request.write_text(json.dumps(request))
        assert run_task(folder) == code
        return folder

    return made


def test_an_album_becomes_a_larger_one(album: Any, told: Any) -> None:
    parameters = {"augmentations": STEPS, "bloat_factor": 2, "include_original_pictures": True}
    folder = album("augment", range(4), parameters)
    result = RESULT.validate_json((folder.outputs / "result.json").read_bytes())
    assert isinstance(result, AugmentResult)
    # eight rounds through three steps: 2, 2 and 4 pictures, of which each becomes two, one and one
    assert [step.count for step in result.steps] == [4, 2, 4]
    assert (result.pictures, result.originals, result.augmented) == (4, 4, 10)
    assert result.augmented == augmented_count(4, 2, [step.augmentation for step in result.steps])
    records = list(read_lines(folder.outputs / "manifest.jsonl", AugmentedRecord))
    given = {record.picture_id: record for record in read_manifest(folder.manifest("pictures"))}
    assert [record.picture_id for record in records[:4]] == list(given)
    assert sum(record.boxes_dropped for record in records) == result.boxes_dropped
    assert len({record.picture_id for record in records}) == len({record.filename for record in records}) == 14
    announced = {event.sha256 for event in told(folder) if isinstance(event, Artifact) and event.name == "picture"}
    for record in records[4:]:
        assert record.original_id is not None
        original = given[record.original_id]
        assert record.group == original.sha256
        assert record.sha256 in announced
        pixels = decode(folder.outputs / record.key)
        assert pixels.shape[:2] == (record.height, record.width)
        (applied,) = record.applied
        assert record.filename.startswith(f"{original.filename}_{applied.augmentation_type}")
        if applied.augmentation_type == "MIRRORING":
            flipped = np.flip(decode(folder.picture(original.sha256)), axis=1 - (applied.flip_axis or 0))
            assert (pixels == flipped).all()
            assert len(record.boxes) == len(original.boxes)
    assert len(list(read_manifest(folder.outputs / "manifest.jsonl"))) == 14


def test_the_same_seed_gives_the_same_files(album: Any) -> None:
    parameters = {"augmentations": STEPS, "bloat_factor": 3, "include_original_pictures": False}
    manifests = [(album("augment", range(3), parameters).outputs / "manifest.jsonl").read_bytes() for _ in range(2)]
    assert manifests[0] == manifests[1]
    assert b'"original_id"' in manifests[0]


def test_an_empty_album_stays_empty_and_wrong_parameters_are_named(album: Any, told: Any) -> None:
    folder = album("augment", (), {"augmentations": STEPS})
    assert list(read_manifest(folder.outputs / "manifest.jsonl")) == []
    wrong = {"augmentations": [{"augmentationType": "ROTATION", "angles": [400]}]}
    (failed,) = (event for event in told(album("augment", (), wrong, 64)) if isinstance(event, Failed))
    assert "angles" in failed.message and "400" in failed.message


def test_mirrored_digits_are_warned_of(album: Any, told: Any, stage: Any, job: Any, tmp_path: Path) -> None:
    folder: TaskFolder = job("augment", pictures=())
    Image.new("RGB", (20, 20)).save(tmp_path / "a.jpg")
    record = stage(folder, tmp_path / "a.jpg", "a.jpg", 20, 20)
    tagged = record.model_copy(update={"annotations": (Tag(label="7"),)})
    write_manifest(folder.manifest("pictures"), [tagged])
    request = json.loads(folder.request.read_text()) | {"framework": "studio9", "parameters": {"augmentations": STEPS}}
    folder.request.write_text(json.dumps(request))
    assert run_task(folder) == 0
    assert [event.code for event in told(folder) if isinstance(event, Warned)] == ["mirrored_text"]
    made = list(read_lines(folder.outputs / "manifest.jsonl", AugmentedRecord))[-1]
    assert [shape.label for shape in made.annotations] == ["7"]
    assert (folder.outputs / made.key).read_bytes()[:2] == b"\xff\xd8"


def test_copies_for_training_stay_with_their_originals(job: Any, tmp_path: Path) -> None:
    pictures = read_pictures(job("train", train=range(3)), "train")
    larger, done = bloat(pictures, usual_steps(pictures.labels), 12, 5, tmp_path)
    assert len(larger) == 3 + sum(done.counts)
    originals = {picture.record.sha256 for picture in pictures.pictures}
    for picture in larger.pictures[3:]:
        assert picture.record.group in originals
        height, width = decode(picture.path).shape[:2]
        for box in picture.boxes:
            left, top, right, bottom = box.corners
            assert 0 <= left < right <= width and 0 <= top < bottom <= height


def test_labels_or_predictions_are_analysed(album: Any, told: Any, job: Any) -> None:
    folder = album("analyse", range(3), {"projects": {"page-0.png": "north"}})
    result = RESULT.validate_json((folder.outputs / "result.json").read_bytes())
    assert isinstance(result, AnalyseResult)
    assert (result.pictures, result.boxes) == (3, 9)
    analysis = Analysis.model_validate_json((folder.outputs / "analysis.json").read_bytes())
    assert (analysis.labels["square"].boxes, analysis.projects["north"].boxes) == (6, 3)
    assert {event.name for event in told(folder) if isinstance(event, Artifact)} >= {"analysis", "plot.sizes"}

    other: TaskFolder = job("analyse", pictures=range(2))
    box = PredictedBox(label="disc", confidence=0.5, left=0, top=0, width=9, height=9, index=0)
    line = PredictedPicture(picture_id="p", input="predict", sha256="0" * 64, width=90, height=90, boxes=(box,))
    (other.input("pictures") / "predictions.jsonl").write_text(line.model_dump_json())
    other.request.write_text(json.dumps(json.loads(other.request.read_text()) | {"framework": "studio9"}))
    assert run_task(other) == 0
    again = RESULT.validate_json((other.outputs / "result.json").read_bytes())
    assert isinstance(again, AnalyseResult)
    assert (again.pictures, again.boxes, again.labels) == (1, 1, ("disc",))


def test_the_catalogue_offers_both() -> None:
    kinds = {(task.kind, task.framework) for task in catalogue().tasks}
    assert {("augment", "studio9"), ("analyse", "studio9")} <= kinds
