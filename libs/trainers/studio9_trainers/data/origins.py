"""Which pictures are of one origin, and so belong on one side of every split."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from studio9_task.pictures import PictureRecord, Split


def origins(records: Iterable[PictureRecord], blank: Collection[str] = ()) -> list[str]:
    """A name of each picture's origin; the same for the same bytes, for one group, and for what these two link.

    A copy, tile or frame carries the hash of what it was made from as its group, so it is of its original's origin.
    What is `blank` (by its sha256) is of an origin of its own and links nothing: otherwise one empty tile would make
    all aerial photographs that have it one origin.
    """
    known = list(records)
    parent: dict[str, str] = {}
    for record in known:
        group = None if record.sha256 in blank else record.group
        _join(parent, record.sha256, group or record.sha256)
    return [_root(parent, record.sha256) for record in known]


def split_by_origin(records: Sequence[PictureRecord], parts: Mapping[Split, float], seed: int = 0) -> list[Split]:
    """A split for each picture, in these proportions of origins (they are scaled to 1); origins stay together.

    The same pictures and seed give the same splits, whatever their order; pictures that are added move no others but
    those at the borders.
    """
    owners = origins(records)
    ranked = sorted(set(owners), key=lambda one: hashlib.sha256(f"{seed}:{one}".encode()).digest())
    whole = sum(parts.values())
    sides: dict[str, Split] = {}
    done, share = 0, 0.0
    for side, part in parts.items():
        share += part / whole
        until = round(share * len(ranked))
        sides |= dict.fromkeys(ranked[done:until], side)
        done = until
    last = list(parts)[-1]
    return [sides.get(owner, last) for owner in owners]


def _join(parent: dict[str, str], one: str, other: str) -> None:
    first, second = _root(parent, one), _root(parent, other)
    # the smaller name leads, so that the outcome does not depend on the order
    parent[max(first, second)] = min(first, second)


def _root(parent: dict[str, str], one: str) -> str:
    parent.setdefault(one, one)
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    return one
