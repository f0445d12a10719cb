"""The parts of a test run: which tests, in which environment, with real servers or without."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TRAINERS = ("libs/trainers", "libs/task")
# Baile's unit tests take as long as all the others together: they are a part of their own.
BAILE = "services/baile"
# Suites under tests/, those that want the machine for themselves last; the extra ones when everything is asked for.
SUITES = ("simulation", "contract", "integration", "deploy", "histories", "containers", "e2e", "chaos")
EXTRA = ("bench",)
# Two parts run at a time: the long ones begin first, so that both lanes end at about the same time. The trainers' comes
# at once: their environment, gigabytes, is made while nothing runs that a slow disk disturbs.
LONG = ("trainers", "baile", "simulation", "contract", "integration")
EVERY = ("rabbitmq", "elasticsearch", "postgresql", "s3", "sqs", "sns", "redshift", "docker", "registry")
CONTAINERS = ("docker", "registry", "rabbitmq")
# Migrations and queries beside their package run on PostgreSQL too, where a run has it.
UNIT = ("postgresql",)
# Start services of their own and want the machine for themselves.
ALONE = frozenset({"containers", "e2e", "chaos", "bench"})
# Start tasks in the trainers' environment.
TRAINING = ALONE | {"integration"}
# In virtual time: it takes what the others leave of the machine.
YIELDING = frozenset({"simulation"})


@dataclass(frozen=True, slots=True)
class Part:
    """One run of pytest, with the addresses of the `servers` it waits for."""

    name: str
    environment: Literal["platform", "trainers"]
    paths: tuple[str, ...]
    servers: tuple[str, ...] = ()
    alone: bool = False
    yielding: bool = False

    @property
    def training(self) -> bool:
        """Whether its tests start tasks in the trainers' environment."""
        return self.name in TRAINING


def planned(root: Path, *, unit: bool, everything: bool) -> list[Part]:
    """The parts of a whole run, the long ones first; suites that are not there are left out."""
    beside = sorted(
        str(path.relative_to(root)) for path in [*root.glob("libs/*/tests"), *root.glob("services/*/tests")]
    )
    trainers = tuple(path for path in beside if path.startswith(TRAINERS))
    baile = tuple(path for path in beside if path.startswith(BAILE))
    servers = () if unit else UNIT
    parts = [
        Part("trainers", "trainers", trainers),
        Part("baile", "platform", baile, servers),
        Part("unit", "platform", tuple(path for path in beside if path not in trainers + baile), servers),
    ]
    if not unit:
        suites = SUITES + (EXTRA if everything else ())
        parts += [_suite(name) for name in suites if any((root / "tests" / name).rglob("test_*.py"))]
    return sorted((part for part in parts if part.paths), key=lambda part: part.name not in LONG)


def chosen(root: Path, paths: Sequence[str], *, start: Path) -> list[Part]:
    """The parts for paths (or pytest node ids) that the caller named, relative to `start`."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        file, separator, test = path.partition("::")
        relative = (start / file).resolve().relative_to(root)
        words = relative.parts
        if relative.as_posix().startswith(TRAINERS):
            name = "trainers"
        else:
            name = (
                words[1] if words[:1] == ("tests",) and len(words) > 1 else "unit" if words[0] != "tests" else "tests"
            )
        groups.setdefault(name, []).append(f"{relative}{separator}{test}")
    return [
        Part("trainers", "trainers", tuple(found))
        if name == "trainers"
        else Part("unit", "platform", tuple(found))
        if name == "unit"
        else Part(name, "platform", tuple(found), servers=_needs(name), alone=name in ALONE)
        for name, found in groups.items()
    ]


def _suite(name: str) -> Part:
    paths = (f"tests/{name}",)
    return Part(name, "platform", paths, servers=_needs(name), alone=name in ALONE, yielding=name in YIELDING)


def _needs(name: str) -> tuple[str, ...]:
    if name == "containers":
        return CONTAINERS
    # Chaos kills its servers, so it has its own.
    return () if name in ("deploy", "histories", "simulation", "chaos") else EVERY
