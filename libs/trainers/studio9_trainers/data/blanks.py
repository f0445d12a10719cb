"""Pictures of one colour: empty tiles above all, which any two originals may share without telling of each other."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from PIL import Image

from studio9_task.pictures import PictureRecord


def blanks(pictures: Iterable[tuple[PictureRecord, Path]]) -> frozenset[str]:
    """The contents (sha256) that pictures of several groups share, that are of one colour, and that nobody has
    labelled. Only what is shared is decoded."""
    groups: dict[str, set[str | None]] = defaultdict(set)
    paths: dict[str, Path] = {}
    labelled: set[str] = set()
    for record, path in pictures:
        groups[record.sha256].add(record.group)
        paths[record.sha256] = path
        if record.annotations:
            labelled.add(record.sha256)
    shared = [content for content, found in groups.items() if len(found) > 1 and content not in labelled]
    return frozenset(content for content in shared if of_one_colour(paths[content]))


def of_one_colour(file: Path | IO[bytes]) -> bool:
    """Whether all pixels of a picture are alike; not so for what can't be decoded."""
    try:
        with Image.open(file) as image:
            bands = [band.getextrema() for band in image.split()]
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return False  # what is wrong with it is another finding's matter
    return all(low == high for low, high in bands)
