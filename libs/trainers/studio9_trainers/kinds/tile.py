"""Kind `tile`: an album's pictures, of any size, cut into tiles with their labels."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from studio9_task.lines import write_lines
from studio9_task.outputs import write_bytes
from studio9_task.pictures import PictureRecord, Split, read_manifest
from studio9_task.problems import describe
from studio9_task.request import TaskRequest
from studio9_task.results import TileResult
from studio9_task.tiles import TileParameters, TileRecord
from studio9_trainers.data.blanks import of_one_colour
from studio9_trainers.errors import BadInput, UserError
from studio9_trainers.kinds.material import described
from studio9_trainers.machine import ran
from studio9_trainers.progress import PictureCount
from studio9_trainers.run import Run
from studio9_trainers.tiling.cutting import cut_source
from studio9_trainers.tiling.files import Encoding, tile_record
from studio9_trainers.tiling.grid import Grid
from studio9_trainers.tiling.shapes import into_tile
from studio9_trainers.tiling.source import Source, open_source

INPUT = "pictures"
MEDIA = {"jpeg": "image/jpeg", "png": "image/png"}
SPLITS: tuple[Split, ...] = ("train", "val", "test", "none")
"""The order in which pictures are cut: of several splits that have one empty tile, the first keeps it."""


@dataclass
class _Count:
    tiles: int = 0
    boxes: int = 0
    dropped: int = 0
    blanks: int = 0


def tile(run: Run, request: TaskRequest) -> TileResult:
    """Do it. Input: `pictures`. Outputs: `manifest.jsonl`, and the files `pictures/<sha256>`, each announced.

    A tile's group and split are its original's, so that no split comes between them. Of tiles that are the same bytes,
    all of one colour and without a label, only those of the first split stay: no picture may lie in two.
    """
    try:
        parameters = TileParameters.model_validate(request.parameters)
    except ValidationError as error:
        raise UserError(f"The parameters can't be used: {describe(error)}", "bad_parameters") from None
    if INPUT not in request.inputs:
        raise BadInput(f"inputs: there is no {INPUT} input: give the album to cut.")
    records, count = list(read_manifest(run.folder.manifest(INPUT))), _Count()
    with run.timed("augmentation"):
        manifest, _ = write_lines(run.folder.outputs / "manifest.jsonl", _tiles(run, parameters, records, count))
    run.events.artifact("manifest", manifest, "application/jsonl")
    return TileResult(
        framework=request.framework,
        labels=tuple(sorted({shape.label for one in records for shape in one.annotations})),
        pictures=len(records),
        tiles=count.tiles,
        boxes=count.boxes,
        boxes_dropped=count.dropped,
        blanks_dropped=count.blanks,
        spec=parameters.tiles,
        timings=run.timings(),
        effective=parameters.model_dump(mode="json") | {"datasets": described(run.folder, request.inputs)},
        ran=ran(run.threads, run.device),
        warnings=tuple(run.warnings),
    )


def _tiles(run: Run, parameters: TileParameters, records: list[PictureRecord], count: _Count) -> Iterator[TileRecord]:
    told, keeps = PictureCount(run.events, len(records)), dict[str, Split]()
    encoding = Encoding(parameters.format, parameters.quality)
    for line, record in sorted(enumerate(records, 1), key=lambda one: SPLITS.index(one[1].split)):
        source = _source(run.folder.picture(record.sha256), record, line, parameters.memory_mib)
        for place, pixels in cut_source(source, Grid(parameters.tiles, *source.upright.size)):
            run.stop.check()
            content = encoding.encode(pixels)
            digest = hashlib.sha256(content).hexdigest()
            shown = into_tile(record.annotations, place)
            if (
                keeps.get(digest, record.split) != record.split
                and not shown.shapes
                and of_one_colour(io.BytesIO(content))
            ):
                count.blanks += 1
                continue
            if digest not in keeps:
                keeps[digest] = record.split
                written = write_bytes(run.folder.outputs / "pictures" / digest, content)
                run.events.artifact("picture", written, MEDIA[parameters.format])
            count.tiles, count.boxes = count.tiles + 1, count.boxes + len(shown.shapes)
            count.dropped += shown.dropped
            own = tile_record(record, place, pixels, digest, len(content), encoding)
            yield TileRecord.model_validate(
                {
                    **own.model_dump(),
                    "key": f"pictures/{digest}",
                    "annotations": shown.shapes,
                    "source": record.picture_id,
                    "source_sha256": record.sha256,
                    "row": place.row,
                    "column": place.column,
                    "left": place.left,
                    "top": place.top,
                    "right": place.right,
                    "bottom": place.bottom,
                    "scale_x": place.scale_x,
                    "scale_y": place.scale_y,
                }
            )
        told.one_more()


def _source(path: Path, record: PictureRecord, line: int, memory_mib: int) -> Source:
    """Raises BadInput or BadPicture, naming line, picture and fix."""
    where = f"{INPUT}, line {line} ({record.filename or record.picture_id})"
    if not path.is_file():
        raise BadInput(f"{where}: the picture's file is missing: upload it again.")
    source = open_source(path, record.filename or record.picture_id, memory_mib)
    if source.upright.size != (record.width, record.height):
        told, found = f"{record.width} x {record.height}", "{} x {}".format(*source.upright.size)
        raise BadInput(f"{where}: {told} pixels are recorded, the file has {found}: upload it again.")
    return source
