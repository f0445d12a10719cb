"""Frames of a video as pictures. Kind `frames`."""

from pydantic import Field

from studio9_task.model import Contract
from studio9_task.pictures import PictureRecord

KIND = "frames"
VIDEO = "video"
"""The input that holds the video, as one file."""
MOST_FRAMES = 100_000


class FramesParameters(Contract):
    """Kind `frames`. Input: `video`. Outputs: `manifest.jsonl` of FrameRecords, their files in `pictures/`."""

    every: int = Field(
        default=1, ge=1, le=MOST_FRAMES, description="take each so-many-th frame, beginning with the first"
    )
    most: int = Field(default=5000, ge=1, le=MOST_FRAMES, description="a video that would give more is refused")
    name: str = Field(default="video", min_length=1, max_length=255, description="what messages and pictures call it")


class FrameRecord(PictureRecord):
    """One line of the manifest that comes out. Its file is `pictures/<sha256>`; its group is the video's hash."""

    frame: int = Field(ge=0, description="its number in the video, from 0")
