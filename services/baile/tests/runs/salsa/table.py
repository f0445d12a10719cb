"""The table of `/v2.0`'s routes, from the code and from what the contract asks for (routes.txt).

`python -m pytest services/baile/tests/runs/salsa/test_routes.py` says whether docs/reference/routes.md is this table;
`python services/baile/tests/runs/salsa/table.py > docs/reference/routes.md` writes it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastapi.routing import APIRoute

from studio9_baile.v2 import empty
from studio9_baile.v2.app import TOPICS

WORKS, EMPTY, ABSENT = "works", "empty list until it comes", "not there yet"
HEAD = """# The routes of `/v2.0`

Made from the code: do not edit. All are also under `/baile/v2.0`. P0: the journey from an album to online predictions;
P1: the rest of computer vision and the care of assets; P2: sections that come later. What a route that works still
refuses is in [salsa.md](salsa.md).
"""


@dataclass(frozen=True)
class Wanted:
    """A route that the contract asks for."""

    section: str
    priority: str
    method: str
    path: str
    purpose: str

    @property
    def key(self) -> tuple[str, str]:
        return self.method, anonymous(self.path)


def anonymous(path: str) -> str:
    """A path with its parameters' names left out."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def wanted() -> Iterator[Wanted]:
    """What routes.txt lists."""
    section = ""
    for line in Path(__file__).with_name("routes.txt").read_text().splitlines():
        if line.startswith("== "):
            section = line[3:]
        elif line and not line.startswith("#"):
            priority, method, path, purpose = line.split(maxsplit=3)
            yield Wanted(section, priority, method, path, purpose)


def built() -> dict[tuple[str, str], str]:
    """The state of every route that there is."""
    found = {}
    for topic in TOPICS:
        for route in topic.routes.routes:
            assert isinstance(route, APIRoute)
            for method in route.methods or ():
                state = EMPTY if route.endpoint is empty.nothing else WORKS
                found[method, anonymous(route.path)] = state
    return found


def render() -> str:
    """The table as Markdown."""
    states, lines, section = built(), [HEAD], ""
    for one in wanted():
        if one.section != section:
            section = one.section
            lines += [f"## {section}\n", "| | method | path | for | state |", "|---|---|---|---|---|"]
        state = states.get(one.key, ABSENT)
        lines.append(f"| {one.priority} | {one.method} | `{one.path}` | {one.purpose} | {state} |")
    text = "\n".join(lines).replace("|\n##", "|\n\n##")
    return text + "\n"


if __name__ == "__main__":
    print(render(), end="")
