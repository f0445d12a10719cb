"""Planted bugs in what Orion takes for silence."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from studio9_cli.simulation.substitutes import Substitute
from studio9_orion.beats import Beats, Heard
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


def old_beat_noted() -> list[Substitute]:
    """An Orion that was frozen with a first beat in hand notes it in the place of newer ones."""

    async def put_first(self: Beats, heard: Sequence[Heard]) -> list[Heard]:
        for one in heard:
            await self.put([(one.worker, one.beat)], one.received_at, one.lease_until)
        return list(heard)

    return [(Beats, "put_first", put_first)]


PLANTS = (old_beat_noted, skewed_clock_judges, outage_declares_all_lost, deaf_orion_judges, silence_never_found)
