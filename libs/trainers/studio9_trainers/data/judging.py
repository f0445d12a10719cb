"""What is odd about labelled pictures, before the first epoch. What stops a training raises where it is read."""

from collections import Counter
from collections.abc import Iterable

from studio9_trainers.data.blanks import of_one_colour
from studio9_trainers.data.dataset import Picture, PictureSet
from studio9_trainers.data.findings import Finding

FEW = 5
"""Boxes of a label below which hardly anything is learned."""
TINY = 2.0
"""Pixels of a box's side."""


def judge(pictures: PictureSet, labels: Iterable[str] = ()) -> list[Finding]:
    """Findings about one set. `labels`: those that are asked for, whether they occur or not."""
    findings = [*_duplicates(pictures), *_boxes(pictures, labels)]
    if len(pictures) == 1:
        fix = "add pictures: from one a model learns that one by heart"
        findings.append(Finding("warning", "one_picture", "there is one picture", fix, file=pictures.name))
    bare = sum(not picture.record.annotations for picture in pictures.pictures)
    if 0 < bare < len(pictures):
        message = f"{bare} of the {len(pictures)} pictures have no label"
        fix = "label them, or leave them as pictures that show nothing"
        findings.append(Finding("note", "unlabelled", message, fix, file=pictures.name))
    return findings


def _duplicates(pictures: PictureSet) -> Iterable[Finding]:
    first: dict[str, tuple[int, Picture]] = {}
    empty = _repeated_blanks(pictures)
    if empty:
        message = f"{sum(empty.values()) - len(empty)} pictures of one colour, without a label, repeat others"
        fix = "leave them: they count as pictures that show nothing"
        yield Finding("note", "blank", message, fix, file=pictures.name)
    for line, picture in enumerate(pictures.pictures, 1):
        digest = picture.record.sha256
        if digest in empty:
            continue
        if digest not in first:
            first[digest] = (line, picture)
            continue
        before, other = first[digest]
        same = other.record.annotations == picture.record.annotations
        name = picture.record.filename or picture.record.picture_id
        message = f"{name} is the picture of line {before}" + ("" if same else ", with other labels")
        fix = "take one of them out" if same else "keep the one with the right labels"
        yield Finding("warning", "duplicate", message, fix, file=pictures.name, line=line)


def _repeated_blanks(pictures: PictureSet) -> dict[str, int]:
    """How often each picture (by its sha256) is there that is of one colour, unlabelled and there several times. Only
    what repeats is decoded."""
    known = {picture.record.sha256: picture.path for picture in pictures.pictures}
    labelled = {picture.record.sha256 for picture in pictures.pictures if picture.record.annotations}
    times = Counter(picture.record.sha256 for picture in pictures.pictures)
    return {
        digest: count
        for digest, count in times.items()
        if count > 1 and digest not in labelled and of_one_colour(known[digest])
    }


def _boxes(pictures: PictureSet, labels: Iterable[str]) -> Iterable[Finding]:
    counts = dict.fromkeys(labels, 0)
    tiny = 0
    for picture in pictures.pictures:
        for box in picture.boxes:
            counts[box.label] = counts.get(box.label, 0) + 1
            tiny += min(box.width, box.height) < TINY
    for label, count in sorted(counts.items()):
        if count < FEW:
            fix = "label some, or leave the label out" if count == 0 else "label more of them"
            code = "no_boxes" if count == 0 else "few_boxes"
            message = f"the label {label!r} has {count or 'no'} box{'es' if count != 1 else ''}"
            yield Finding("note" if count else "warning", code, message, fix, file=pictures.name)
    if len(counts) == 1:
        message = f"{next(iter(counts))!r} is the only label"
        yield Finding("note", "one_label", message, "add another if there is more to tell apart", file=pictures.name)
    if tiny:
        message = f"{tiny} boxes are less than {TINY:g} pixels wide or high"
        yield Finding(
            "warning", "tiny_boxes", message, "correct them, or enlarge or tile the pictures", file=pictures.name
        )
