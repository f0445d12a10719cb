"""Pictures that lie on both sides of a split, so that figures on one flatter what was learned on the other."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from studio9_trainers.data.blanks import blanks
from studio9_trainers.data.dataset import Picture, PictureSet
from studio9_trainers.data.findings import Finding
from studio9_trainers.data.looks import BYTES, alike, look
from studio9_trainers.data.origins import origins

NAMED = 3
"""How many pictures a finding names."""
MOST_LOOKS = 5_000
"""Of larger sets the first so many are compared by their looks."""


def leaks(sets: Sequence[PictureSet], looks: bool = True) -> list[Finding]:
    """An error for each pair of sets that share pictures by content or group; with `looks` a warning for pictures
    that look alike (this decodes them small)."""
    findings: list[Finding] = []
    every = [picture for one in sets for picture in one.pictures]
    blank = blanks((picture.record, picture.path) for picture in every)
    owners = _owners(sets, origins((picture.record for picture in every), blank))
    seen = {id(one): _looks(one) for one in sets} if looks and len(sets) > 1 else {}
    for one, other in combinations(sets, 2):
        mine = set(owners[one.name])
        both = [picture for picture, owner in zip(other.pictures, owners[other.name], strict=True) if owner in mine]
        empty = [picture for picture in both if picture.record.sha256 in blank]
        both = [picture for picture in both if picture.record.sha256 not in blank]
        if empty:
            message = f"{len(empty)} of the {len(other)} pictures are of one colour, have no label"
            fix = f"take them out of one of the two, or of both: there is nothing in them ({_named(empty)})"
            findings.append(Finding("error", "overlap", f"{message} and are in {one.name} too", fix, file=other.name))
        if both:
            message = f"{len(both)} of the {len(other)} pictures are in {one.name} too, or are copies, tiles or frames"
            fix = f"take them out of one of the two ({_named(both)})"
            findings.append(Finding("error", "overlap", f"{message} of its pictures", fix, file=other.name))
        if seen and not (both or empty):
            findings += _similar(one, other, seen[id(one)], seen[id(other)])
    return findings


def _owners(sets: Sequence[PictureSet], together: Sequence[str]) -> dict[str, Sequence[str]]:
    owners: dict[str, Sequence[str]] = {}
    begin = 0
    for one in sets:
        owners[one.name] = together[begin : begin + len(one)]
        begin += len(one)
    return owners


Looks = tuple[list[Picture], "np.ndarray[tuple[int, int], np.dtype[np.uint8]]"]


def _looks(one: PictureSet) -> Looks:
    known = [(picture, bits) for picture in one.pictures[:MOST_LOOKS] if (bits := look(picture.path)) is not None]
    rows = np.array([bits for _, bits in known], dtype=np.uint8).reshape(len(known), BYTES)
    return [picture for picture, _ in known], rows


def _similar(one: PictureSet, other: PictureSet, mine: Looks, theirs: Looks) -> list[Finding]:
    if not (mine[0] and theirs[0]):
        return []
    found = sorted({at for _, at in alike(mine[1], theirs[1])})
    if not found:
        return []
    message = f"{len(found)} of the {len(other)} pictures look like pictures in {one.name}"
    fix = f"look whether they show the same scene ({_named([theirs[0][at] for at in found])})"
    return [Finding("warning", "similar", message, fix, file=other.name)]


def _named(pictures: Sequence[Picture]) -> str:
    names = [picture.record.filename or picture.record.picture_id for picture in pictures[:NAMED]]
    more = f" and {len(pictures) - NAMED} more" if len(pictures) > NAMED else ""
    return ", ".join(names) + more
