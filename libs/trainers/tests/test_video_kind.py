"""The kind `video`, from staged frames and what was predicted on them to a film that shows it at the right time."""

import hashlib
import json
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from studio9_task.events import Artifact, Failed, Warned
from studio9_task.layout import TaskFolder
from studio9_task.lines import write_lines
from studio9_task.pictures import write_manifest
from studio9_task.results import RESULT, PredictedBox, PredictedPicture, VideoResult
from studio9_trainers.data.video import frames
from studio9_trainers.frameworks import catalogue
from studio9_trainers.stop import StopFlag
from studio9_trainers.task import run_task

GREY = 120
BOX = {"label": "crane", "confidence": 0.9, "left": 100, "top": 80, "width": 160, "height": 120, "index": 0}
EDGE, INSIDE = (80 + 60, 100), (80 + 60, 180)
"""Pixels (row, column) in the middle of the box's left side and of its area."""


@pytest.fixture
def film(job: Any, stage: Any, tmp_path: Path) -> Callable[..., TaskFolder]:
    """Runs the kind on grey frames with these numbers; on the first alone something was found."""

    def made(numbers: Iterable[int | None], code: int = 0, **parameters: Any) -> TaskFolder:
        folder: TaskFolder = job("video")
        request = json.loads(folder.request.read_text())
        request |= {"framework": "studio9", "parameters": parameters, "inputs": ["frames"]}
        folder.request.write_text(json.dumps(request))
        records, found = [], []
        for place, number in enumerate(numbers):
            path = tmp_path / f"{place}.png"
            Image.new("RGB", (640, 480), (GREY, GREY, GREY + place)).save(path)
            record = stage(folder, path, f"f{place}", 640, 480).model_copy(update={"frame": number})
            records.append(record)
            boxes = (PredictedBox.model_validate(BOX),) if place == 0 else ()
            found.append(PredictedPicture(picture_id=record.picture_id, input="predict", sha256=record.sha256,
                                          width=640, height=480, boxes=boxes))  # fmt: skip
        write_manifest(folder.manifest("frames"), reversed(records))
        write_lines(folder.input("frames") / "predictions.jsonl", found)
        if parameters.get("name") == "broken":
            folder.picture(records[1].sha256).write_bytes(b"no picture")
        assert run_task(folder) == code
        return folder

    return made


@pytest.fixture(autouse=True)
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StopFlag, "listen", lambda self: None)


def is_grey(pixel: Any) -> bool:
    return all(abs(int(one) - GREY) < 12 for one in pixel)


def test_the_boxes_are_drawn_and_the_frames_keep_their_times(film: Any, told: Any) -> None:
    folder = film((0, 25, 75), rate=30000 / 1001, every=25)
    path = folder.outputs / "video.mp4"
    shown = [pixels for _, pixels in frames(path)]
    assert len(shown) == 3 and all(pixels.shape == (480, 640, 3) for pixels in shown)
    red, green, blue = (int(one) for one in shown[0][EDGE])
    assert not is_grey((red, green, blue)) and max(red, green, blue) - min(red, green, blue) > 60, "a coloured line"
    assert is_grey(shown[0][INSIDE]), "nothing but lines is drawn"
    assert (shown[0][66:79, 104:140] > 200).any(), "its label stands on white above it"
    for pixels in shown[1:]:
        assert is_grey(pixels[EDGE]) and np.ptp(pixels.astype(int)) < 24, "nothing was found there"
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        assert times == pytest.approx([number * 1001 / 30000 for number in (0, 25, 75)], abs=1e-3)
        assert container.duration == pytest.approx(100 * 1001 / 30000 * 1e6, rel=0.01), "the last one stands, too"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    content = path.read_bytes()
    assert content[4:8] == b"ftyp" and content.index(b"moov") < content.index(b"mdat"), "it plays while it loads"
    (announced,) = (event for event in told(folder) if isinstance(event, Artifact) and event.name == "video")
    assert (announced.path, announced.media_type) == ("video.mp4", "video/mp4")
    assert announced.sha256 == hashlib.sha256(content).hexdigest()
    result = RESULT.validate_json((folder.outputs / "result.json").read_bytes())
    assert isinstance(result, VideoResult) and (result.frames, result.boxes) == (3, 1)
    assert (result.width, result.height) == (640, 480) and Fraction(result.rate).limit_denominator(2000) == Fraction(
        30000, 1001
    )


def test_large_frames_are_scaled_with_their_boxes(film: Any) -> None:
    folder = film((3,), longest=640)
    ((number, pixels),) = frames(folder.outputs / "video.mp4")
    assert (number, pixels.shape) == (0, (480, 640, 3)), "what comes first stands from the beginning"
    assert not is_grey(pixels[EDGE])


def test_a_broken_frame_is_left_out_with_a_warning(film: Any, told: Any) -> None:
    folder = film((0, 1, 2), name="broken")
    assert len(list(frames(folder.outputs / "video.mp4"))) == 2
    (warned,) = (event for event in told(folder) if isinstance(event, Warned))
    assert (warned.code, "f1" in warned.message) == ("unreadable_frames", True)


def test_what_cannot_be_used_is_said_readably(film: Any, told: Any) -> None:
    for numbers, parameters, words in (
        ((None, None), {}, "no picture says which frame"), ((0, 1), {"rate": 1e-9}, "rate"),
        ((0, 1), {"most_bytes": 100}, "more than 100 bytes"),
    ):  # fmt: skip
        folder = film(numbers, 64, **parameters)
        (failed,) = (event for event in told(folder) if isinstance(event, Failed))
        assert words in failed.message and failed.class_ == "user", failed
        assert not list(folder.outputs.iterdir()), "nothing half-written"


def test_it_is_offered() -> None:
    (kind,) = (one for one in catalogue().tasks if one.kind == "video")
    assert (kind.framework, [one.name for one in kind.inputs]) == ("studio9", ["frames"])
