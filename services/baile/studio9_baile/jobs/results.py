"""What an attempt left in the object storage: its manifest, its result, its predictions."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from studio9_baile.core import Core
from studio9_common.contracts.job import ObjectRef
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile
from studio9_common.errors import BadInput
from studio9_common.objects.port import ObjectMissing
from studio9_task.problems import describe
from studio9_task.results import (
    RESULT,
    AugmentResult,
    EvaluateResult,
    FramesResult,
    PredictedPicture,
    PredictResult,
    TileResult,
    TrainResult,
    TuneResult,
    VideoResult,
)

Result = (
    TrainResult | EvaluateResult | PredictResult | AugmentResult | FramesResult | TuneResult | VideoResult | TileResult
)  # fmt: skip
MOST_RESULT = 64 << 20


class BadResult(BadInput):
    """The job's result cannot be used; look at the job's log, and start it again."""

    code = "bad_result"


async def read_manifest(core: Core, organisation: str, ref: ObjectRef | None) -> AttemptManifest:
    """The manifest that the job names. Raises BadResult, Unavailable."""
    if ref is None:
        raise BadResult("the job completed without a manifest of its outputs")
    content = await _get(core, organisation, ref.key, ref.sha256)
    try:
        return AttemptManifest.model_validate_json(content)
    except ValidationError as error:
        raise BadResult(f"the manifest of the outputs cannot be read: {describe(error)}") from error


def output(manifest: AttemptManifest, name: str) -> ManifestFile:
    """The output that the task announced under this name. Raises BadResult."""
    for file in manifest.files:
        if file.artifact == name:
            return file
    raise BadResult(f"the job left no output named {name!r}")


async def read_result(core: Core, manifest: AttemptManifest) -> Result:
    """The task's result. Raises BadResult, Unavailable."""
    file = output(manifest, "result")
    if file.size > MOST_RESULT:
        raise BadResult(f"the result has {file.size} bytes, at most {MOST_RESULT} are read")
    content = await _get(core, manifest.organisation, file.key, file.sha256)
    try:
        found = RESULT.validate_json(content)
    except ValidationError as error:
        raise BadResult(f"the result cannot be read: {describe(error)}") from error
    if not isinstance(found, Result):
        raise BadResult(f"the result is of kind {found.kind!r}, which nothing here asks for")
    return found


async def _get(core: Core, organisation: str, key: str, sha256: str) -> bytes:
    if not key.startswith(f"{organisation}/"):
        raise BadResult(f"{key} does not belong to the job's organisation")
    try:
        content = await core.objects.get(key)
    except ObjectMissing as error:
        raise BadResult(f"{key} is not there (any more)") from error
    if await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest()) != sha256:
        raise BadResult(f"{key} is not what the job stored")
    return content


async def fetch(core: Core, organisation: str, key: str, sha256: str, name: str) -> Path:
    """A local copy of an object for the time of the work; kept if it is there from before. Raises BadResult."""
    if not key.startswith(f"{organisation}/"):
        raise BadResult(f"{key} does not belong to the job's organisation")
    path = core.settings.work_dir / "results" / name
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    if not await asyncio.to_thread(path.exists):
        try:
            await core.objects.download(key, path, sha256=sha256)
        except ObjectMissing as error:
            raise BadResult(f"{key} is not there (any more)") from error
    return path


@dataclass(slots=True)
class PredictionIndex:
    """Random access to `predictions.jsonl`, by input and picture."""

    file: BinaryIO
    offsets: dict[tuple[str, str], int]

    def of_all(self, name: str, pictures: Sequence[str]) -> list[PredictedPicture | None]:
        """What was predicted on pictures of an input; None for those that could not be decoded. Blocks."""
        return [self._of(name, picture) for picture in pictures]

    def _of(self, name: str, picture: str) -> PredictedPicture | None:
        offset = self.offsets.get((name, picture))
        if offset is None:
            return None
        self.file.seek(offset)
        return PredictedPicture.model_validate_json(self.file.readline())


@contextmanager
def prediction_index(path: Path) -> Iterator[PredictionIndex]:
    """Indexes the file. Raises BadResult, naming the line. Blocks."""
    offsets: dict[tuple[str, str], int] = {}
    with path.open("rb") as file:
        number, offset = 0, 0
        while line := file.readline():
            number += 1
            with contextlib.suppress(ValueError, KeyError, TypeError):
                head = json.loads(line)
                offsets[str(head["input"]), str(head["picture_id"])] = offset
                offset += len(line)
                continue
            raise BadResult(f"line {number} of the predictions cannot be read")
        yield PredictionIndex(file, offsets)


def take_lines(path: Path, start: int, count: int) -> list[bytes]:
    """Up to `count` lines from byte `start` on. Blocks."""
    with path.open("rb") as file:
        file.seek(start)
        return list(islice(file, count))
