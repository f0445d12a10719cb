"""Brings a result's pictures into an album, chunk by chunk: what is done is done, and a restart goes on from there.

Each chunk is one transaction that writes pictures, their predicted shapes and how far it has come. A picture is written
once, because its source is unique in the album.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from studio9_baile.core import Core
from studio9_baile.jobs.results import BadResult, PredictionIndex, take_lines
from studio9_baile.models.jobs import Process, ResultState
from studio9_baile.models.pictures import Album, LabelMode, Picture, PictureLabel
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.revisions import current_shapes
from studio9_baile.usecases.shapes import label_rows
from studio9_common.contracts.predictions import prediction_id
from studio9_task.pictures import PictureRecord
from studio9_task.problems import describe
from studio9_task.results import PredictedPicture
from studio9_task.shapes import Box, Shape, Tag

CHUNK = 200
"""Pictures of one transaction."""
SHAPES_AT_ONCE = 200
"""Predicted shapes that are written between two turns of the event loop."""


@dataclass(frozen=True, slots=True)
class Target:
    """One album to fill: with the pictures of a manifest, predicted under the input's name."""

    name: str
    album: str
    manifest: Path
    model_version: str
    stream_or_job: str


class Superseded(Exception):
    """Somebody else has finished this result, or its album is gone."""


async def fill(core: Core, organisation: str, job: str, target: Target, index: PredictionIndex, lease_s: float) -> None:
    """Fills the album from where the process' cursor stands. Raises BadResult, Unavailable, Superseded."""
    while True:
        async with core.database.read(organisation) as work:
            start = _position(await work.processes.get(job), target.name)
        lines = await asyncio.to_thread(take_lines, target.manifest, start, CHUNK)
        if not lines:
            return
        records = [_record(line) for line in lines]
        found = await asyncio.to_thread(index.of_all, target.name, [record.picture_id for record in records])
        async with core.database.write(organisation) as work:
            process = await work.processes.get(job, lock=True)
            if process.result_state is not ResultState.pending:
                raise Superseded
            if _position(process, target.name) != start:
                continue
            album = await work.albums.find(target.album)
            if album is not None:
                await _write(core, work, album, target, job, records, found)
            process.cursor = {**(process.cursor or {}), target.name: start + sum(map(len, lines))}
            process.fill_after = work.now.fromtimestamp(work.now.timestamp() + lease_s, work.now.tzinfo)


def _position(process: Process, name: str) -> int:
    return int((process.cursor or {}).get(name, 0))


def _record(line: bytes) -> PictureRecord:
    try:
        return PictureRecord.model_validate_json(line)
    except ValidationError as error:
        raise BadResult(f"the job's manifest of pictures cannot be read: {describe(error)}") from error


async def _write(
    core: Core,
    work: Work,
    album: Album,
    target: Target,
    job: str,
    records: Sequence[PictureRecord],
    found: Sequence[PredictedPicture | None],
) -> None:
    there = await work.pictures.by_source(album.id, [record.picture_id for record in records])
    originals = await work.pictures.many([record.picture_id for record in records])
    labels: list[PictureLabel] = []
    made: list[tuple[Picture, PredictedPicture | None]] = []
    for record, predicted in zip(records, found, strict=True):
        if record.picture_id not in there:
            picture = _picture(core, work, album, record, originals.get(record.picture_id))
            made.append((picture, predicted))
    await work.flush()
    given = await current_shapes(work, [picture for picture, _ in made])
    waiting = 0
    for picture, predicted in made:
        shapes = [] if predicted is None else predicted_shapes(predicted, album.label_mode)
        picture.confidence = max((confidence for _, _, confidence in shapes), default=None)
        labels += label_rows(picture, (shape.label for shape in given[picture.id]), predicted=False)
        labels += label_rows(picture, (shape.label for _, shape, _ in shapes), predicted=True)
        scores: dict[str, Any] | None = dict(predicted.scores) if predicted and predicted.scores else None
        for number, shape, confidence in shapes:
            waiting += 1
            if waiting % SHAPES_AT_ONCE == 0:
                await work.flush()
            work.predicted.make(
                prediction=prediction_id(picture.sha256, target.model_version, target.stream_or_job, number),
                picture=picture.id,
                index=number,
                label=shape.label,
                confidence=confidence,
                shape=shape.model_dump(mode="json", exclude_none=True),
                scores=scores,
                model_version=target.model_version,
                job=job,
            )
    work.labels.add_all(labels)


def _picture(core: Core, work: Work, album: Album, record: PictureRecord, original: Picture | None) -> Picture:
    """Adds the output's own record of a picture: the same bytes, name and labels, and no augmentation of the input."""
    return work.pictures.make(
        album=album.id,
        sha256=record.sha256,
        key=record.key,
        profile=original.profile if original else core.objects.profile,
        content_type=original.content_type if original else "application/octet-stream",
        size=record.size,
        width=record.width,
        height=record.height,
        filename=record.filename,
        caption=original.caption if original else None,
        source=record.picture_id,
        label_revision=record.label_revision,
    )


def predicted_shapes(predicted: PredictedPicture, mode: LabelMode) -> list[tuple[int, Shape, float]]:
    """(index, shape, confidence) of what was predicted on a picture."""
    if predicted.label is not None and mode is LabelMode.CLASSIFICATION:
        confidence = (predicted.scores or {}).get(predicted.label, 1.0)
        return [(0, Tag(label=predicted.label, source="model"), confidence)]
    return [
        (
            box.index,
            Box(label=box.label, left=box.left, top=box.top, width=box.width, height=box.height, source="model"),
            box.confidence,
        )
        for box in predicted.boxes
    ]
