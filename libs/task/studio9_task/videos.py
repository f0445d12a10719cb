"""A video of what was predicted on the frames of another. Kind `video`."""

from pydantic import Field

from studio9_task.model import Contract

KIND = "video"
FRAMES = "frames"
"""The input: a manifest whose pictures say which frames they are, and beside it PREDICTIONS."""
PREDICTIONS = "predictions.jsonl"
"""What was predicted on the frames, in the folder of FRAMES."""
ARTIFACT = "video"
LEAST_RATE, MOST_RATE = 0.001, 1000


class VideoParameters(Contract):
    """Kind `video`. Input: `frames`, with `predictions.jsonl` beside its manifest. Output: `video.mp4`.

    A frame stands from its own time, its number by `rate`, to that of the next one; the last for `every` frames.
    """

    rate: float = Field(
        default=25, ge=LEAST_RATE, le=MOST_RATE, description="frames a second of the video that they were taken from"
    )
    every: int = Field(default=1, ge=1, description="each so-many-th frame of it was taken")
    longest: int = Field(default=1920, ge=640, le=4096, description="most pixels of the longer side; larger are scaled")
    most_bytes: int = Field(default=2 << 30, ge=1, description="a larger video is given up")
