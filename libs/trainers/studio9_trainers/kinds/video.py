"""Kind `video`: a video of what was predicted on the frames of another."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pydantic import ValidationError

from studio9_task.errors import ManifestError
from studio9_task.pictures import PictureRecord, read_manifest
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import PredictedPicture, VideoResult
from studio9_task.videos import ARTIFACT, FRAMES, PREDICTIONS, VideoParameters
from studio9_trainers.data.decode import Pixels, decode
from studio9_trainers.data.video import write_frames
from studio9_trainers.errors import BadInput, BadPicture, UserError
from studio9_trainers.evaluation.showing import SHORTEST, draw_box
from studio9_trainers.kinds.material import described
from studio9_trainers.machine import ran
from studio9_trainers.progress import PictureCount
from studio9_trainers.run import Run

COLOURS = (
    (220, 30, 40), (30, 110, 220), (30, 160, 60), (225, 125, 0), (140, 60, 200), (0, 150, 160), (200, 40, 140),
    (130, 90, 40),
)  # fmt: skip
"""A label has the same one in every video."""
FINEST = 10_000
"""Denominators of rates, as 30000/1001, are no larger."""
PRESET = "veryfast"


def video(run: Run, request: TaskRequest) -> VideoResult:
    """Do it. Input: `frames`. Output: `video.mp4`, announced as `video`. What can't be decoded is passed over, with a
    warning."""
    try:
        parameters = VideoParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    with run.timed("data_loading"):
        records = _numbered(run)
        predictions = Predictions(run.folder.input(FRAMES) / PREDICTIONS)
    rate = Fraction(parameters.rate).limit_denominator(FINEST)
    drawn = _Drawn(run, parameters.longest)
    with run.timed("prediction"):
        written = write_frames(
            run.folder.outputs / "video.mp4",
            drawn.frames(records, predictions),
            rate,
            last_for=parameters.every,
            most_bytes=parameters.most_bytes,
            preset=PRESET,
            threads=run.threads,
        )
    run.events.artifact(ARTIFACT, written, "video/mp4")
    width, height = drawn.size
    return VideoResult(
        framework=request.framework,
        frames=drawn.count,
        boxes=drawn.boxes,
        width=width // 2 * 2,
        height=height // 2 * 2,
        rate=float(rate),
        timings=run.timings(),
        effective={**parameters.model_dump(mode="json"), "datasets": described(run.folder, request.inputs)},
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )


def _numbered(run: Run) -> list[PictureRecord]:
    """The frames in their order, each number once."""
    known = {one.frame: one for one in read_manifest(run.folder.manifest(FRAMES)) if one.frame is not None}
    if not known:
        raise BadInput("frames: no picture says which frame of a video it is: give those of an album with a video.")
    return [known[number] for number in sorted(known)]


class Predictions:
    """Those of a file by picture, of which only the places are kept in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int]] = {}
        place = 0
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    self._places[str(json.loads(line)["picture_id"])] = (place, number)
                    place += len(line)
        except OSError as error:
            raise BadInput(f"{path.name} can't be read ({error.strerror}): stage it first.") from None
        except (ValueError, KeyError, TypeError):
            raise ManifestError(f"{path.name}, line {number}: it is no prediction.") from None

    def of(self, picture: str) -> PredictedPicture | None:
        """What was predicted on a picture, if it was looked at. Raises ManifestError."""
        if picture not in self._places:
            return None
        place, number = self._places[picture]
        with self._path.open("rb") as file:
            file.seek(place)
            try:
                return PredictedPicture.model_validate_json(file.readline())
            except ValidationError as error:
                raise ManifestError(f"{self._path.name}, line {number}: {describe(error)}") from None


@dataclass
class _Drawn:
    """Frames with their boxes, all of the size of the first."""

    run: Run
    longest: int
    size: tuple[int, int] = (0, 0)
    count: int = 0
    boxes: int = 0
    unreadable: list[str] = field(default_factory=list)

    def frames(self, records: list[PictureRecord], predictions: Predictions) -> Iterator[tuple[int, Pixels]]:
        done = PictureCount(self.run.events, len(records))
        for record in records:
            self.run.stop.check()
            try:
                pixels = decode(self.run.folder.picture(record.sha256), record.filename)
            except BadPicture:
                self.unreadable.append(record.filename)
            else:
                assert record.frame is not None
                yield record.frame, self._with_boxes(pixels, predictions.of(record.picture_id))
            done.one_more()
        if self.unreadable:
            self.run.warn(
                "unreadable_frames",
                f"{len(self.unreadable)} frames can't be decoded, and are left out: {', '.join(self.unreadable[:5])}.",
            )

    def _with_boxes(self, pixels: Pixels, found: PredictedPicture | None) -> Pixels:
        image = Image.fromarray(pixels)
        longer = max(image.size)
        scale = min(max(longer, SHORTEST), self.longest) / longer
        if scale != 1:
            image = image.resize((max(2, round(image.width * scale)), max(2, round(image.height * scale))))
        pen = ImageDraw.Draw(image)
        for box in reversed(found.boxes if found is not None else ()):
            colour = COLOURS[zlib.crc32(box.label.encode()) % len(COLOURS)]
            draw_box(
                pen, (box.left, box.top, box.width, box.height), scale, colour, f"{box.label} {box.confidence:.2f}"
            )
            self.boxes += 1
        self.count += 1
        self.size = self.size if self.count > 1 else image.size
        return np.asarray(image if image.size == self.size else image.resize(self.size))
