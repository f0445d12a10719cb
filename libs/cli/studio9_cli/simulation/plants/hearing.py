"""Planted bugs in what Orion takes for silence."""

from dataclasses import replace
from typing import Any

from studio9_cli.simulation.substitutes import Substitute
from studio9_orion.engine import Engine
from studio9_orion.hearing import Ears, Hearing
from studio9_orion.sweeper import Sweeper


def outage_declares_all_lost() -> list[Substitute]:
    """The first sweep after an outage takes the silence in it for the workers'."""
    known = Hearing.begin

    async def begin(self: Hearing) -> Ears:
        return replace(await known(self), deaf_until=None)

    return [(Hearing, "begin", begin)]


def deaf_orion_judges() -> list[Substitute]:
    """An Orion that the bus does not reach takes its own deafness for silence."""

    async def can_hear(self: Engine) -> bool:
        return True

    return [(Engine, "can_hear", can_hear)]


def silence_never_found() -> list[Substitute]:
    """Nobody looks for attempts that have fallen silent."""
    known = Sweeper._judge

    async def judge(self: Sweeper, ids: list[str], silent: Any, ears: Any, swept: Any) -> None:
        await known(self, ids, silent, replace(ears, deaf_until="9999"), swept)

    return [(Sweeper, "_judge", judge)]


def skewed_clock_judges() -> list[Substitute]:
    """Beats that one Orion stamped are judged by another's clock, however far apart the two are."""

    def ahead(self: Hearing, time: str | None, now: Any, *, leases: int = 0) -> bool:
        return False

    return [(Hearing, "_ahead", ahead)]


PLANTS = (skewed_clock_judges, outage_declares_all_lost, deaf_orion_judges, silence_never_found)
