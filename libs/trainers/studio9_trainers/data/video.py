"""Video in and out: frames by their number, and files that browsers play."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np

from studio9_task.outputs import Written, new_file
from studio9_trainers.data.decode import MAX_PIXELS, Pixels
from studio9_trainers.errors import BadInput

CODECS = {".mp4": ("libx264", "mp4"), ".webm": ("libvpx-vp9", "webm")}
"""Ending: (codec, container)."""
READ = {"format_whitelist": "mov,matroska,avi,mpeg,mpegts,flv,asf,ogg", "protocol_whitelist": "file"}
"""What is read: files that hold a video themselves. Lists of other files and addresses, as HLS has them, are none."""


class BadVideo(BadInput):
    """A video can't be read: replace it by a whole MP4, MOV, WebM, MKV or AVI file."""


@dataclass(frozen=True)
class VideoFacts:
    """`frames` is what the file's head says, none where it says nothing; `rate` is frames a second."""

    width: int
    height: int
    rate: Fraction
    frames: int | None
    codec: str


def video_facts(path: Path, name: str | None = None) -> VideoFacts:
    """From the file's head; width and height upright. Raises BadVideo."""
    with _opened(path, name) as (_, stream):
        pixels = next(iter(frames(path, name=name)))[1]
        return VideoFacts(
            width=pixels.shape[1],
            height=pixels.shape[0],
            rate=Fraction(stream.average_rate or stream.guessed_rate or 25),
            frames=stream.frames or None,
            codec=stream.codec_context.name,
        )


def frames(
    path: Path, every: int = 1, first: int = 0, last: int | None = None, name: str | None = None
) -> Iterator[tuple[int, Pixels]]:
    """Each `every`-th frame from `first` to `last` (both included, from 0) with its number, upright and RGB.

    Numbers count the frames as they are shown, also where their distances in time vary. Raises BadVideo for what is
    no video, is broken on the way, or has more pixels than a picture may have.
    """
    number = -1
    with _opened(path, name) as (container, stream):
        stream.thread_type = "AUTO"
        try:
            for number, frame in enumerate(container.decode(stream)):
                if last is not None and number > last:
                    return
                if number >= first and (number - first) % every == 0:
                    _check_size(name or path.name, frame.width, frame.height)
                    yield number, _upright(frame)
        except av.error.FFmpegError as error:
            after = f" after frame {number}" if number >= 0 else ""
            raise BadVideo(f"{name or path.name} can't be decoded{after} ({error.strerror}): replace it.") from None
    if number < 0:
        raise BadVideo(f"{name or path.name} has no frames: replace it.")


def frame_at(path: Path, number: int, name: str | None = None) -> Pixels:
    """One frame by its number, from 0. Raises BadVideo, also where there is no such frame."""
    for _, pixels in frames(path, first=number, last=number, name=name):
        return pixels
    raise BadVideo(f"{name or path.name} has no frame {number}: count from 0.")


def write_video(path: Path, pictures: Iterable[Pixels], rate: Fraction | int) -> Written:
    """Write frames of one size as H.264 in MP4 or VP9 in WebM, by the path's ending; an odd side loses a pixel.

    The index lies at the front of an MP4, so that it plays while it loads. Raises BadInput for no frames, frames of
    different sizes, or another ending.
    """
    if path.suffix not in CODECS:
        raise BadInput(f"{path.name}: a video that browsers play ends in {' or '.join(CODECS)}.")
    rest = iter(pictures)
    begin = next(rest, None)
    if begin is None:
        raise BadInput(f"{path.name}: there are no frames to write.")
    height, width = (max(side // 2 * 2, 2) for side in begin.shape[:2])
    codec, form = CODECS[path.suffix]
    with new_file(path) as new:
        options = {"movflags": "+faststart"} if form == "mp4" else {}
        with av.open(str(new.path), "w", format=form, options=options) as container:
            stream: Any = container.add_stream(codec, rate=rate, options={"crf": "20" if form == "mp4" else "32"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for pixels in chain([begin], rest):
                if pixels.shape != begin.shape:
                    raise BadInput(f"{path.name}: its frames differ in size: scale them alike.")
                even = np.ascontiguousarray(pixels[:height, :width])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
            container.mux(stream.encode())
    return new.written


class _opened:
    """The container and its first video stream, closed at the end of the block."""

    def __init__(self, path: Path, name: str | None) -> None:
        self._shown = name or path.name
        try:
            self._container: Any = av.open(str(path), options=READ)
        except (OSError, av.error.FFmpegError) as error:
            raise BadVideo(f"{self._shown} can't be read as a video ({error.strerror}): replace it.") from None

    def __enter__(self) -> tuple[Any, Any]:
        if not self._container.streams.video:
            self._container.close()
            raise BadVideo(f"{self._shown} has no pictures: replace it by a video.")
        stream = self._container.streams.video[0]
        try:
            _check_size(self._shown, stream.width, stream.height)
        except BadVideo:
            self._container.close()
            raise
        return self._container, stream

    def __exit__(self, *_: object) -> None:
        self._container.close()


def _check_size(shown: str, width: int, height: int) -> None:
    """Of the whole and of each frame: they may differ."""
    if width * height > MAX_PIXELS:
        raise BadVideo(f"{shown} has {width} x {height} pixels, more than {MAX_PIXELS}.")


def _upright(frame: Any) -> Pixels:
    quarters = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarters), dtype=np.uint8)
