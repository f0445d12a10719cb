"""One run: everything is started, asked, broken and repaired as the plan says; then it is judged."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from studio9_cli.chaos.asker import PROBE, Asked, Asker
from studio9_cli.chaos.checker import Evidence, judge
from studio9_cli.chaos.faults import Faults
from studio9_cli.chaos.holding import consumers_cut, hold
from studio9_cli.chaos.pace import Pace
from studio9_cli.chaos.plan import ORGANISATIONS, Fault, Plan, Wish, plan_of
from studio9_cli.chaos.platform import Platform, running
from studio9_cli.chaos.remains import effects_of, remains
from studio9_cli.chaos.report import Recovery, report_of
from studio9_common.errors import Studio9Error

DELIVERY_TIMEOUT_S = 8.0
RECOVERY_S = 90.0
LOOK_S = 0.5
QUICK = Wish(0, PROBE, "ok", 1, 0.0)

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is to be. `jobs` are spread over the time in which faults happen."""

    minutes: float
    seed: int
    jobs: int
    pace: Pace
    proxied: bool = True


async def campaign(options: Options, folder: Path, tell: Tell) -> dict[str, Any]:
    """Runs and judges; the report. Raises CannotRun, ProcessEnded."""
    began = datetime.now(UTC)
    async with running(
        folder, options.pace, delivery_timeout_s=DELIVERY_TIMEOUT_S, proxied=options.proxied
    ) as platform:
        held, _ = await asyncio.gather(hold(platform.bus, DELIVERY_TIMEOUT_S), platform.services.ready())
        tell(f"{time.time() - began.timestamp():.0f} s: everything runs")
        tell(f"a held delivery was cut after {held['cut_after_s']} s")
        plan = plan_of(
            options.seed, 60 * options.minutes, options.jobs,
            proxied=platform.proxies is not None, long_s=1.5 * DELIVERY_TIMEOUT_S,
        )  # fmt: skip
        run = _Run(platform, plan, options.pace, tell)
        return report_of(options, plan, platform, began, held=held, **await run.all())


class _Run:
    def __init__(self, platform: Platform, plan: Plan, pace: Pace, tell: Tell) -> None:
        self._platform, self._plan, self._pace, self._tell = platform, plan, pace, tell
        self._asker = Asker(platform.bus, platform.aries, platform.objects)
        self._faults = Faults(platform)
        self._asked: list[asyncio.Future[Asked]] = []
        self._recoveries: list[Recovery] = []
        self._open: set[Fault] = set()
        self._begun = 0
        self._since = 0.0

    async def all(self) -> dict[str, Any]:
        """What the report is made of."""
        asker, loop = self._asker, asyncio.get_running_loop()
        await asker.start()
        self._asked = [loop.create_future() for _ in self._plan.wishes]
        self._since = loop.time()
        work = [self._ask(number) for number in range(len(self._plan.wishes))]
        work += [self._break(fault) for fault in self._plan.faults]
        await asyncio.gather(*work)
        self._tell(f"{loop.time() - self._since:.0f} s: all faults are over, {self._left()} jobs are not")
        settled_s = await self._settle()
        left = await self._clean(settled_s is not None)
        await asker.stop()
        with suppress(Studio9Error):
            await asker.read(everything=True)
        evidence = Evidence(
            asked=asker.asked,
            jobs=asker.seen,
            heard=asker.heard,
            effects=effects_of(self._platform.services.wiring.effects),
            cancels=asker.cancels,
            odd=asker.odd,
            left=left,
        )
        dead = await self._platform.bus.dead_letters()
        return {
            "evidence": evidence,
            "findings": judge(evidence),
            "recoveries": self._recoveries,
            "settled_s": settled_s,
            "dead_letters": [f"{one.queue}: {one.reason}" for one in dead],
            "cut_later": consumers_cut(self._platform.broker_log) - 1,
        }

    async def _ask(self, number: int) -> None:
        wish = self._plan.wishes[number]
        await self._at(wish.at)
        parent = (await self._asked[wish.parent]).id if wish.parent is not None else None
        depends_on = tuple([(await self._asked[other]).id for other in wish.depends_on])
        self._asked[number].set_result(await self._asker.submit(wish, parent=parent, depends_on=depends_on))

    async def _at(self, at: float) -> None:
        await asyncio.sleep(self._since + at - asyncio.get_running_loop().time())

    async def _break(self, fault: Fault) -> None:
        await self._at(fault.at)
        if not await self._faults.begin(fault):
            self._tell(f"{fault.at:6.1f} s {fault.kind} {fault.target}: left out, it is away already")
            return
        self._tell(f"{fault.at:6.1f} s {fault.kind} {fault.target} for {fault.lasts} s")
        began = time.time()
        self._begun += 1
        alone, begun = not self._open, self._begun
        self._open.add(fault)
        await asyncio.sleep(fault.lasts)
        await self._faults.repair(fault)
        repaired = time.time()
        self._open.discard(fault)
        alone = alone and not self._open and begun == self._begun
        probe = await self._asker.submit(QUICK, urgent=True)
        ended = await self._asker.ended(probe.id, RECOVERY_S)
        undisturbed = alone and begun == self._begun
        took = None if ended is None else round(ended - repaired, 2)
        self._recoveries.append(Recovery(fault, began, repaired, took, undisturbed))
        at = asyncio.get_running_loop().time() - self._since
        self._tell(f"{at:6.1f} s … {fault.kind} {fault.target}: a new job ran through {took} s after its end")

    def _left(self) -> int:
        return sum(1 for id in self._asker.asked if not self._asker.through(id))

    async def _settle(self) -> float | None:
        """How long the rest took after the last fault; None once nothing has ended for as long as `settle_s`."""
        began = last = time.monotonic()
        least = self._left()
        while time.monotonic() - last < self._pace.settle_s:
            left = self._left()
            if not left:
                return round(time.monotonic() - began, 2)
            if left < least:
                least, last = left, time.monotonic()
            await asyncio.sleep(LOOK_S)
        self._tell(f"{self._left()} jobs are not over, and none has ended for {self._pace.settle_s:.0f} s")
        return None

    async def _clean(self, settled: bool) -> list[tuple[str, str]]:
        """What is left two orphan sweeps after the end; looked at more often, to end early."""
        left: list[tuple[str, str]] = []
        began = time.monotonic()
        while True:
            with suppress(Studio9Error):
                left = await remains(self._platform, self._asker.seen, (*ORGANISATIONS, PROBE))
                if not left:
                    return left
            if not settled or time.monotonic() - began > self._pace.orphan_sweeps_s:
                return left
            await asyncio.sleep(LOOK_S)
