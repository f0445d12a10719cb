"""The kind `frames`, from a staged video to announced pictures, or to a reason that a user understands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio9_task.events import Artifact, Failed
from studio9_task.frames import FrameRecord
from studio9_task.layout import TaskFolder
from studio9_task.lines import read_lines
from studio9_task.results import RESULT, FramesResult
from studio9_trainers.data import video as videos
from studio9_trainers.data.decode import decode
from studio9_trainers.data.video import write_video
from studio9_trainers.task import run_task


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of which the last five are one still."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    shades = [40 + 20 * min(number, 5) for number in range(10)]
    write_video(path, (np.full((48, 64, 3), shade, np.uint8) for shade in shades), 10)
    return path


@pytest.fixture
def taken(job: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TaskFolder]:
    """Runs the kind on a file: `taken(content, code, every=2)`."""
    monkeypatch.setattr("studio9_trainers.stop.StopFlag.listen", lambda self: None)

    def made(content: bytes | None, code: int = 0, **parameters: Any) -> TaskFolder:
        folder: TaskFolder = job("frames")
        request = json.loads(folder.request.read_text()) | {"framework": "studio9", "parameters": parameters}
        folder.request.write_text(json.dumps(request))
        if content is not None:
            folder.input("video").mkdir()
            (folder.input("video") / "video.mp4").write_bytes(content)
        assert run_task(folder) == code
        return folder

    return made


def test_frames_become_pictures_that_know_their_number(taken: Any, told: Any, clip: Path) -> None:
    folder = taken(clip.read_bytes(), every=3, name="quay.mp4")
    result = RESULT.validate_json((folder.outputs / "result.json").read_bytes())
    assert isinstance(result, FramesResult)
    assert (result.pictures, result.width, result.height, result.rate, result.codec) == (4, 64, 48, 10.0, "h264")
    records = list(read_lines(folder.outputs / "manifest.jsonl", FrameRecord))
    assert [record.frame for record in records] == [0, 3, 6, 9]
    assert [record.filename for record in records] == [f"quay_{number:06d}.jpg" for number in (0, 3, 6, 9)]
    assert len({record.picture_id for record in records}) == 4 and len({record.group for record in records}) == 1
    for record, shade in zip(records, (40, 100, 140, 140), strict=True):
        assert decode(folder.outputs / record.key).mean() == pytest.approx(shade, abs=4)
    announced = [event.sha256 for event in told(folder) if isinstance(event, Artifact) and event.name == "picture"]
    assert sorted(announced) == sorted({record.sha256 for record in records}), "each file once"


def failure(folder: TaskFolder, told: Any) -> Failed:
    (failed,) = (event for event in told(folder) if isinstance(event, Failed))
    return failed


def test_what_cannot_be_used_is_said_readably(
    taken: Any, told: Any, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = clip.read_bytes()
    half = content[: content.index(b"mdat") + 40]
    for given, parameters, words in (
        (None, {}, "there is no video"), (b"no video", {"name": "a.mp4"}, "a.mp4 can't be read as a video"),
        (half, {"name": "half.mp4"}, "half.mp4"), (content, {"most": 4}, "more than 4 frames"),
        (content, {"every": 0}, "every"),
    ):  # fmt: skip
        failed = failure(taken(given, 64, **parameters), told)
        assert words in failed.message and failed.class_ == "user", failed
    monkeypatch.setattr(videos, "MAX_PIXELS", 1000)
    failed = failure(taken(content, 64), told)
    assert (failed.code, "64 x 48 pixels, more than 1000" in failed.message) == ("bad_input", True)
