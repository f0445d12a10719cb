"""Frames come back by their number, and what is written plays in browsers."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from studio9_trainers.data.decode import decode
from studio9_trainers.data.origins import origins
from studio9_trainers.data.video import BadVideo, frame_at, frames, video_facts, write_video
from studio9_trainers.data.video_pictures import frame_pictures
from studio9_trainers.errors import BadInput


def numbered(count: int) -> list[np.ndarray]:  # type: ignore[type-arg]
    """Frames whose left half is as bright as their number, the right half black."""
    made = [np.zeros((48, 64, 3), dtype=np.uint8) for _ in range(count)]
    for number, pixels in enumerate(made):
        pixels[:, :32] = 20 + 10 * number
    return made


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    write_video(path, numbered(20), 10)
    return path


def test_frames_come_back_by_number(video: Path) -> None:
    seen = list(frames(video))
    assert [number for number, _ in seen] == list(range(20))
    for number, pixels in seen:
        assert pixels.shape == (48, 64, 3)
        assert pixels[10:40, 5:27].mean() == pytest.approx(20 + 10 * number, abs=4)
        assert pixels[10:40, 40:].mean() < 5
    assert [number for number, _ in frames(video, every=6, first=1, last=13)] == [1, 7, 13]
    assert (frame_at(video, 17) == seen[17][1]).all()
    with pytest.raises(BadVideo, match="no frame 20"):
        frame_at(video, 20)


def test_an_mp4_is_what_browsers_play(video: Path) -> None:
    facts = video_facts(video)
    assert (facts.width, facts.height, facts.rate, facts.frames, facts.codec) == (64, 48, Fraction(10), 20, "h264")
    with av.open(str(video)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    content = video.read_bytes()
    assert content[4:8] == b"ftyp"
    assert content.index(b"moov") < content.index(b"mdat")


def test_webm_and_odd_sizes(tmp_path: Path) -> None:
    path = tmp_path / "v.webm"
    write_video(path, (pixels[:47, :63] for pixels in numbered(3)), Fraction(25, 2))
    facts = video_facts(path)
    assert (facts.width, facts.height, facts.codec) == (62, 46, "vp9")
    assert len(list(frames(path))) == 3


def test_frames_become_pictures_of_one_origin(video: Path, tmp_path: Path) -> None:
    made = list(frame_pictures(video, tmp_path, every=8))
    assert [number for number, _, _ in made] == [0, 8, 16]
    assert [record.filename for _, record, _ in made] == ["v_000000.jpg", "v_000008.jpg", "v_000016.jpg"]
    assert len(set(origins(record for _, record, _ in made))) == 1
    for _, record, written in made:
        assert decode(written.path).shape == (record.height, record.width, 3)
    again = frame_pictures(video, tmp_path, every=8)
    assert [record for _, record, _ in again] == [record for _, record, _ in made]


def test_what_is_no_video_is_named(video: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello")
    (tmp_path / "half.mp4").write_bytes(video.read_bytes()[:600])
    for name in ("text.mp4", "half.mp4"):
        with pytest.raises(BadVideo, match=f"seen as {name}"):
            list(frames(tmp_path / name, name=f"seen as {name}"))
    with pytest.raises(BadVideo, match="can't be read"):
        video_facts(tmp_path / "none.mp4")
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{video}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile {video}\n")
    for name in ("list.mp4", "concat.mp4"):
        with pytest.raises(BadVideo, match="can't be read"):
            list(frames(tmp_path / name))
    with pytest.raises(BadInput, match="no frames"):
        write_video(tmp_path / "a.mp4", [], 10)
    with pytest.raises(BadInput, match="differ in size"):
        write_video(tmp_path / "a.mp4", [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 10, 3), np.uint8)], 10)
    with pytest.raises(BadInput, match=r"\.mp4 or \.webm"):
        write_video(tmp_path / "a.gif", numbered(1), 10)
    assert not list(tmp_path.glob("*a.*"))
