"""What BuildKit tells while it builds (`docker build --progress=plain`), and how long each step took.

A step is announced as `#7 [build 3/6] RUN …`, and ends as `#7 DONE 3.4s` or `#7 CACHED`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_BEGUN = re.compile(r"#(\d+) (\[(?!internal).+)")
_ENDED = re.compile(r"#(\d+) (?:DONE ([0-9.]+)s|(CACHED))")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a recipe. `seconds` is 0 for one that was cached."""

    name: str
    seconds: float
    cached: bool


def steps(lines: Iterable[str]) -> list[Step]:
    """The steps that ended, in the order of their numbers."""
    names: dict[int, str] = {}
    ended: dict[int, Step] = {}
    for line in lines:
        if (begun := _BEGUN.fullmatch(line.strip())) is not None:
            names.setdefault(int(begun[1]), begun[2])
        elif (end := _ENDED.fullmatch(line.strip())) is not None and (number := int(end[1])) in names:
            ended[number] = Step(names[number], float(end[2] or 0), end[3] is not None)
    return [ended[number] for number in sorted(ended)]
