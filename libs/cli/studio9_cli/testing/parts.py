"""The parts of a test run: which tests, in which environment, with real servers or without."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

TRAINERS = ("libs/trainers", "libs/task")
BAILE = "services/baile/tests"
# The longest folders are two parts each; these of them are in the second.
SECOND = {
    BAILE: ("jobs", "runs", "v1"),
    "tests/e2e": ("test_interrupted.py", "test_journey.py", "test_threads.py"),
    "tests/simulation": ("test_campaign.py",),
}
_HALF = "-2"
# Suites under tests/; the extra ones when everything is asked for.
SUITES = ("contract", "integration", "deploy", "histories", "e2e", "simulation", "containers", "chaos")
EXTRA = ("bench",)
# Some parts of a turn run at a time: the long ones begin first, so that the lanes end at about the same time. The
# trainers' comes at once: their environment, gigabytes, is made while nothing runs that a slow disk disturbs. On a
# fresh machine the tools of `deploy` are built, in minutes.
LONG = ("trainers", "baile", "contract", "integration", "deploy")
# One turn follows the other. The simulation's campaign has processes for all cores, and as many minutes as it may take:
# beside others it would leave out most of its runs. What starts whole deployments waits for them more than it computes:
# it comes after what computes all the time. Chaos and benchmarks want the machine for themselves.
TURNS = {"simulation-2": 1, "e2e": 2, "containers": 2, "chaos": 3, "bench": 4}
EVERY = ("rabbitmq", "elasticsearch", "postgresql", "s3", "sqs", "sns", "redshift", "docker", "registry")
CONTAINERS = ("docker", "registry", "rabbitmq")
# Migrations and queries beside their package run on PostgreSQL too, where a run has it.
UNIT = ("postgresql",)
# Start tasks in the trainers' environment.
TRAINING = frozenset({"integration", "containers", "e2e", "chaos", "bench"})
# In virtual time nothing is late: it waits for nobody, and computes beside the first turn's parts, which wait for
# servers and disks in between.
YIELDING = frozenset({"simulation"})


@dataclass(frozen=True, slots=True)
class Part:
    """One run of pytest, with the addresses of the `servers` it waits for."""

    name: str
    environment: Literal["platform", "trainers"]
    paths: tuple[str, ...]
    servers: tuple[str, ...] = ()

    @property
    def turn(self) -> int:
        """Parts of a lower one are over before it begins."""
        return TURNS.get(self.name, TURNS.get(self.whole, 0))

    @property
    def yielding(self) -> bool:
        """Whether it runs beside the other parts of its turn, in no lane of theirs, and stands back behind them."""
        return self.name in YIELDING

    @property
    def training(self) -> bool:
        """Whether its tests start tasks in the trainers' environment."""
        return self.whole in TRAINING

    @property
    def whole(self) -> str:
        """The name of what it is all or half of."""
        return self.name.removesuffix(_HALF)


def planned(root: Path, *, unit: bool, everything: bool) -> list[Part]:
    """The parts of a whole run by turn, the long ones first; suites that are not there are left out."""
    beside = sorted(
        str(path.relative_to(root)) for path in [*root.glob("libs/*/tests"), *root.glob("services/*/tests")]
    )
    trainers = tuple(path for path in beside if path.startswith(TRAINERS))
    servers = () if unit else UNIT
    parts = [
        Part("trainers", "trainers", trainers),
        *_halves(root, Part("baile", "platform", (BAILE,), servers)),
        Part("unit", "platform", tuple(path for path in beside if not path.startswith((*TRAINERS, BAILE))), servers),
    ]
    if not unit:
        suites = SUITES + (EXTRA if everything else ())
        parts += [
            part
            for name in suites
            if any((root / "tests" / name).rglob("test_*.py"))
            for part in _halves(root, Part(name, "platform", (f"tests/{name}",), _needs(name)))
        ]
    return sorted((part for part in parts if part.paths), key=lambda part: (part.turn, part.whole not in LONG))


def _halves(root: Path, part: Part) -> list[Part]:
    """A part of one folder as it is, or as the two parts that SECOND makes of it."""
    folder = part.paths[0]
    if folder not in SECOND:
        return [part]
    found = [
        path for path in sorted((root / folder).glob("*")) if path.match("test_*.py") or any(path.rglob("test_*.py"))
    ]
    halves = [[path for path in found if (path.name in SECOND[folder]) is second] for second in (False, True)]
    return [
        replace(part, name=name, paths=tuple(str(path.relative_to(root)) for path in half))
        for name, half in zip((part.name, f"{part.name}{_HALF}"), halves, strict=True)
    ]


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
        else Part(name, "platform", tuple(found), _needs(name))
        for name, found in groups.items()
    ]


def _needs(name: str) -> tuple[str, ...]:
    if name == "containers":
        return CONTAINERS
    # Chaos kills its servers, so it has its own.
    return () if name in ("deploy", "histories", "simulation", "chaos") else EVERY
