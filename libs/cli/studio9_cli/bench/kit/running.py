"""Finds a bench by its name, runs it on the servers it needs, and writes its report."""

import asyncio
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import studio9_cli.bench
from studio9_cli import project
from studio9_cli.bench.kit import machine
from studio9_cli.bench.kit.figures import Figure, compared
from studio9_cli.bench.kit.pairs import Arm, interleaved
from studio9_cli.main import summaries
from studio9_cli.servers.fleet import Fleet, servers

PAIRS, MIN_S = 5, 10.0


class CannotMeasure(Exception):
    """A server that the bench needs cannot be had here; the message says which and why."""


class Bench:
    """What a running bench is given. `quick` runs are for tests: one short pair, whose figures mean nothing."""

    def __init__(self, addresses: Mapping[str, str], *, quick: bool = False) -> None:
        self.quick = quick
        self.pairs = 1 if quick else PAIRS
        self.min_s = 0.2 if quick else MIN_S
        self._addresses = addresses

    def address(self, variable: str) -> str:
        """The address of a server in `NEEDS`, by its variable (see `studio9_cli.servers`)."""
        return self._addresses[variable]

    async def paired(
        self,
        name: str,
        unit: str,
        ours: Arm,
        reference: Arm,
        *,
        against: str,
        goal: float | None = None,
        higher_is_better: bool = True,
        pairs: int | None = None,
        min_s: float | None = None,
    ) -> Figure:
        """Measures two arms in turns, by default five pairs of at least 10 s an arm, and judges the medians.

        `pairs` and `min_s` are ignored when `quick`.
        """
        measured = await interleaved(
            ours,
            reference,
            pairs=self.pairs if self.quick or pairs is None else pairs,
            min_s=self.min_s if self.quick or min_s is None else min_s,
        )
        return compared(name, unit, measured, against=against, goal=goal, higher_is_better=higher_is_better)


class Module(Protocol):
    """What a module in `studio9_cli.bench` offers."""

    NEEDS: tuple[str, ...]

    async def run(self, bench: Bench) -> list[Figure]:
        """Measures."""


def known() -> dict[str, str]:
    """Every bench's name and first line."""
    return summaries(Path(next(iter(studio9_cli.bench.__path__))))


def measure(name: str, *, quick: bool = False) -> dict[str, Any]:
    """Runs one bench; gives its report. Raises `CannotMeasure`."""
    module = cast(Module, importlib.import_module(f"studio9_cli.bench.{name.replace('-', '_')}"))
    with Fleet(_needed(module.NEEDS)) as fleet:
        missing = fleet.reasons()
        if missing:
            raise CannotMeasure("; ".join(f"{variable}: {reason}" for variable, reason in missing.items()))
        addresses = {**os.environ, **fleet.addresses()}
        figures = asyncio.run(module.run(Bench(addresses, quick=quick)))
        products = {outcome.name: outcome.product for outcome in fleet.outcomes()}
    return {
        "bench": name,
        "commit": project.commit(),
        "machine": machine.describe(),
        "servers": products,
        "quick": quick,
        "figures": [figure.to_json() for figure in figures],
    }


def _needed(names: tuple[str, ...]) -> list[Any]:
    kinds = {server.name: server for server in servers()}
    wanted = set(names) | {need for name in names for need in kinds[name].needs}
    return [server for name, server in kinds.items() if name in wanted]
