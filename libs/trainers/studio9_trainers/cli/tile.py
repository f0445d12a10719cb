"""`studio9 tile DATA`."""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from studio9_task.exits import EXIT_OK
from studio9_task.pictures import PictureRecord
from studio9_task.problems import describe
from studio9_task.tiles import TileSpec
from studio9_trainers.cli.data import add_format, read_data, recognised
from studio9_trainers.data.collection import Sample, picture_files
from studio9_trainers.errors import UserError
from studio9_trainers.tiling.files import Encoding, write_tiles
from studio9_trainers.tiling.source import open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("data", type=Path, help="pictures, labelled or not, of any size")
    parser.add_argument("--size", type=int, default=640, help="pixels of a tile's side (640)")
    parser.add_argument("--overlap", type=int, default=128, help="pixels that neighbours share (128)")
    parser.add_argument("--padding", choices=("shift", "none", "fill"), default="shift", help="at the right and bottom")
    parser.add_argument("--scale", type=float, default=1.0, help="pixels of a tile per pixel of the picture (1)")
    parser.add_argument("--to", choices=("jpeg", "png"), default="jpeg", help="format of the tiles")
    parser.add_argument("--quality", type=int, default=90, help="JPEG's (90)")
    parser.add_argument("--memory-mib", type=int, default=1024, help="for pictures that can't be streamed (1024)")
    parser.add_argument("--out", type=Path, default=Path("tiles"), help="folder that `studio9 train` reads (tiles)")
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Cut; the folder is a data set itself."""
    try:
        spec = TileSpec(size=options.size, overlap=options.overlap, padding=options.padding, scale=options.scale)
    except ValidationError as error:
        raise UserError(f"The tiles can't be cut so: {describe(error)}", "bad_parameters") from None
    samples = _samples(options)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        print(f"{done} of {len(samples)} pictures", file=sys.stderr)

    tiled = write_tiles(
        ((one.record, one.path) for one in samples),
        spec,
        options.out,
        Encoding(options.to, options.quality),
        options.memory_mib,
        one_more,
    )
    print(f"{tiled.tiles} tiles in {options.out}; {tiled.dropped} labels of which too little shows were left out.")
    return EXIT_OK


def _samples(options: argparse.Namespace) -> Sequence[Sample]:
    """Labelled pictures; bare ones may be larger than any that can be decoded as a whole."""
    path: Path = options.data
    kind = recognised(path) if options.format == "auto" and path.exists() else options.format
    if kind != "bare":
        return read_data(path, options.format).samples
    samples = []
    for file in [path] if path.is_file() else picture_files(path):
        source = open_source(file, memory_mib=options.memory_mib)
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        width, height = source.upright.size
        record = PictureRecord(
            picture_id=digest[:32], version=digest, sha256=digest, key=f"pictures/{digest}", filename=file.name,
            size=file.stat().st_size, width=width, height=height,
        )  # fmt: skip
        samples.append(Sample(file, record))
    if not samples:
        raise UserError(f"{path}: there are no pictures: give a file, or a folder with some.")
    return samples
