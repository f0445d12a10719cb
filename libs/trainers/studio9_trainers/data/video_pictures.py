"""The frames of a video as pictures of one origin."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from studio9_task.outputs import Written, write_bytes
from studio9_task.pictures import PictureRecord
from studio9_trainers.data.video import frames

QUALITY = 95
"""Of the JPEG files, without loss of colour resolution."""


def frame_pictures(
    video: Path, folder: Path, every: int = 1, name: str | None = None
) -> Iterator[tuple[int, PictureRecord, Written]]:
    """Each `every`-th frame's number, its record and its file, written to `folder` under its hash.

    The file name tells the frame's number, from 0; the group is the video's hash, so that no split parts the frames.
    Raises BadVideo.
    """
    shown = name or video.name
    with video.open("rb") as file:
        origin = hashlib.file_digest(file, "sha256").hexdigest()
    for number, pixels in frames(video, every, name=shown):
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "JPEG", quality=QUALITY, subsampling=0)
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        record = PictureRecord(
            picture_id=hashlib.sha256(f"{origin} {number}".encode()).hexdigest()[:32],
            version=digest,
            sha256=digest,
            key=f"pictures/{digest}",
            filename=f"{Path(shown).stem}_{number:06d}.jpg",
            size=len(content.getvalue()),
            width=pixels.shape[1],
            height=pixels.shape[0],
            orientation=1,
            group=origin,
        )
        yield number, record, write_bytes(folder / digest, content.getvalue())
