"""Which images there are, and how each is built."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio9_cli import project

SERVICES = ("baile", "orion", "aries", "argo", "taurus", "pegasus", "worker")
TRAINERS = "trainers"
NAMES = (*SERVICES, TRAINERS)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Dockerfile and what it is told; the context is the repository."""

    file: Path
    arguments: Mapping[str, str] = field(default_factory=dict)


def recipe(name: str) -> Recipe:
    """That of one of NAMES. The worker's image holds the trainers' environment."""
    folder = project.root() / "deploy"
    if name == TRAINERS:
        return Recipe(folder / "trainers.Dockerfile")
    more = {"TRAINERS": "1"} if name == "worker" else {}
    return Recipe(folder / "Dockerfile", {"SERVICE": name, "COMMIT": project.commit(), **more})
