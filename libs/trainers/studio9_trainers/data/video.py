"""Video in and out: frames by their number, and files that browsers play."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags

from studio9_task.outputs import Written, new_file
from studio9_trainers.data.decode import MAX_PIXELS, Pixels
from studio9_trainers.errors import BadInput

CODECS = {".mp4": ("libx264", "mp4"), ".webm": ("libvpx-vp9", "webm")}
"""Ending: (codec, container)."""
KEY_FRAMES = 60
"""Frames between two that a player can jump to."""
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
    """Write frames of one size, one after the other, as `write_frames` does. Raises BadInput."""
    return write_frames(path, enumerate(pictures), rate)


def write_frames(
    path: Path,
    frames: Iterable[tuple[int, Pixels]],
    rate: Fraction | int,
    *,
    last_for: int = 1,
    most_bytes: int | None = None,
    preset: str = "medium",
    threads: int = 0,
) -> Written:
    """Write frames of one size as H.264 in MP4 or VP9 in WebM, by the path's ending; an odd side loses a pixel.

    A frame stands from its number by `rate`, frames a second, to the next one's; numbers grow. The first stands from
    the beginning, the last for `last_for` frames. The index lies at the front of an MP4, so that it plays while it
    loads. `preset` is how much H.264 works for a small file; `threads` of 0 lets the encoder choose. Raises BadInput
    for no frames, frames of different sizes, more than `most_bytes`, or another ending.
    """
    if path.suffix not in CODECS:
        raise BadInput(f"{path.name}: a video that browsers play ends in {' or '.join(CODECS)}.")
    rest = iter(frames)
    begin = next(rest, None)
    if begin is None:
        raise BadInput(f"{path.name}: there are no frames to write.")
    height, width = (max(side // 2 * 2, 2) for side in begin[1].shape[:2])
    codec, form = CODECS[path.suffix]
    with new_file(path) as new:
        options = {"movflags": "+faststart"} if form == "mp4" else {}
        quality = {"crf": "20", "preset": preset} if form == "mp4" else {"crf": "32"}
        with av.open(str(new.path), "w", format=form, options=options) as container:
            stream: Any = container.add_stream(codec, rate=rate, options=quality | {"g": str(KEY_FRAMES)})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = 1 / Fraction(rate)
            stream.codec_context.flags |= Flags.frame_duration
            stream.codec_context.thread_count = threads
            size = 0
            for frame in chain(_timed(path.name, begin[1], rest, 1 / Fraction(rate), last_for), [None]):
                for packet in stream.encode(frame):
                    size += packet.size
                    container.mux(packet)
                if most_bytes is not None and size > most_bytes:
                    raise BadInput(f"{path.name} would have more than {most_bytes} bytes: take fewer frames.")
    return new.written


def _timed(
    shown: str, pixels: Pixels, rest: Iterable[tuple[int, Pixels]], tick: Fraction, last_for: int
) -> Iterator[Any]:
    """Each frame with its beginning and how long it stands; `pixels` are those of the first."""
    start, shape = 0, pixels.shape
    for number, following in rest:
        if following.shape != shape:
            raise BadInput(f"{shown}: its frames differ in size: scale them alike.")
        yield _frame(pixels, start, number - start, tick)
        start, pixels = number, following
    yield _frame(pixels, start, last_for, tick)


def _frame(pixels: Pixels, start: int, duration: int, tick: Fraction) -> Any:
    height, width = (max(side // 2 * 2, 2) for side in pixels.shape[:2])
    frame: Any = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
    frame.pts, frame.duration, frame.time_base = start, duration, tick
    return frame


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
