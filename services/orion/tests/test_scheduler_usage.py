"""Use and shares: decay, contention, coming and going; and the invariant of an hour."""

import heapq
import random
from collections import Counter, defaultdict
from typing import Any

import pytest

from studio9_common.contracts.job import Requirements
from studio9_orion.providers.port import Place
from studio9_orion.scheduler.fair import schedule
from studio9_orion.scheduler.model import Candidate, Shares
from studio9_orion.scheduler.queues import Queues
from studio9_orion.scheduler.usage import Usage

A, B, C = ("cpu", "a"), ("cpu", "b"), ("cpu", "c")


def test_use_counts_while_others_wait_and_decays() -> None:
    usage = Usage(0.0, {A: 1_000.0})
    assert usage.later(3_600.0, {}, {}, Shares()).values == {A: 500.0}
    assert usage.later(60 * 3_600.0, {}, {}, Shares()).values == {}
    nothing = Usage(0.0)
    assert nothing.later(10.0, {B: 30.0}, {"cpu": {"a", "b"}}, Shares()).values == {B: 30.0}
    assert nothing.later(10.0, {B: 30.0}, {"cpu": {"a"}}, Shares(weights={"b": 2.0})).values == {B: 15.0}
    for alone in ({"cpu": {"b"}}, {"gpu-training": {"a"}}, {}):
        assert nothing.later(10.0, {B: 30.0}, alone, Shares()).values == {}, "nobody else wanted these slots"


def test_whoever_comes_anew_brings_neither_credit_nor_debt() -> None:
    usage = Usage(0.0, {A: 100.0, B: 120.0, C: 900.0})
    there, more = {"cpu": {"a", "b"}}, {"cpu": {"a", "b", "c", "d"}}
    joined = usage.joined(there, more).values
    assert (joined[C], joined["cpu", "d"]) == (120.0, 100.0)
    assert usage.joined({}, {"cpu": {"c"}}).values[C] == 0.0, "a class that was empty begins at nothing"
    assert usage.joined(there, there).values == usage.values


class Hours:
    """Organisations that always have jobs waiting, on slots that are always taken, in simulated time."""

    def __init__(self, weights: dict[str, float], slots: int, lengths: dict[str, tuple[float, float]]) -> None:
        self.weights, self.slots, self.lengths = weights, slots, lengths
        self.rng = random.Random(7)
        self.now, self.free, self.n = 0.0, slots, 0
        self.usage, self.active = Usage(), dict[str, set[str]]()
        self.queues = Queues()
        self.held: Counter[tuple[str, str]] = Counter()
        self.ends: list[tuple[float, str]] = []
        self.used: dict[str, float] = defaultdict(float)
        self.spent: dict[tuple[str, str], float] = defaultdict(float)

    def wish(self, name: str) -> None:
        self.n += 1
        self.queues.put(
            Candidate(f"{self.n:06d}", name, None, "cpu", 0, f"{self.now:012.3f}", None, Requirements())
        )  # fmt: skip

    def run(self, names: str, until: float) -> dict[str, float]:
        """Lets these organisations contend until a time; the slot-seconds of each."""
        before = dict(self.used)
        for name in names:
            for _ in range(2 * self.slots):
                self.wish(name)
        while self.now < until:
            self._pass(names)
            then = min(self.ends[0][0] if self.ends else until, until)
            for key, count in self.held.items():
                self.used[key[1]] += count * (then - self.now)
                self.spent[key] += count * (then - self.now)
            self.now = then
            while self.ends and self.ends[0][0] <= self.now:
                _, name = heapq.heappop(self.ends)
                self.held["cpu", name] -= 1
                self.free += 1
        for job in list(self.queues):
            self.queues.pop(job)
        return {name: self.used[name] - before.get(name, 0.0) for name in names}

    def _pass(self, names: str) -> None:
        held = +self.held
        shares = Shares(weights=self.weights, held=held)
        waiting = {"cpu": set(self.queues.organisations("cpu"))}
        active = {"cpu": waiting["cpu"] | {name for _, name in held}}
        self.usage = self.usage.later(self.now, self.spent, waiting, shares).joined(self.active, active)
        self.active = active
        self.spent.clear()
        place = Place("w", total=self.slots, free=self.free)
        shares = Shares(usage=self.usage.values, weights=self.weights, held=held)
        for one in schedule(self.queues, [place], shares).assignments:
            name = self.queues[one.job].organisation
            self.queues.pop(one.job)
            self.held["cpu", name] += 1
            self.free -= 1
            heapq.heappush(self.ends, (self.now + self.rng.uniform(*self.lengths[name]), name))
            self.wish(name)


@pytest.mark.parametrize(
    ("weights", "slots", "lengths"),
    [
        ({"a": 1.0, "b": 2.0, "c": 1.0}, 4, {"a": (60, 60), "b": (60, 60), "c": (60, 60)}),
        ({"a": 1.0, "b": 1.0, "c": 5.0}, 8, {"a": (20, 400), "b": (100, 300), "c": (5, 60)}),
        ({"a": 3.0, "b": 1.0, "c": 1.0}, 2, {"a": (1, 10), "b": (200, 300), "c": (10, 200)}),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, 20, {"a": (300, 300), "b": (30, 30), "c": (1, 600)}),
    ],
)
def test_over_any_hour_use_follows_the_shares(weights: Any, slots: int, lengths: Any) -> None:
    """Invariant 9: use differs from the weighted share by at most one job's length per slot, whatever was before: an
    hour of two, one alone, all three, and the two again."""
    hours = Hours(weights, slots, lengths)
    longest = max(length for _, length in lengths.values())
    for names, end in (("ab", 1), ("a", 2), ("abc", 3), ("bc", 4), ("c", 4.5), ("abc", 5.5)):
        used = hours.run(names, end * 3_600.0)
        total, weight = sum(used.values()), sum(weights[name] for name in names)
        for name in names:
            assert abs(used[name] - total * weights[name] / weight) <= longest * slots, (names, used)


@pytest.mark.parametrize("seed", range(8))
def test_the_invariant_holds_for_whatever_organisations_there_are(seed: int) -> None:
    rng = random.Random(seed)
    names = "abcd"[: rng.randint(2, 4)]
    weights = {name: rng.choice([0.5, 1.0, 1.0, 2.0, 5.0]) for name in names}
    slots = rng.randint(1, 10)
    least = {name: rng.choice([20.0, 60.0, 300.0]) for name in names}
    lengths = {name: (value, value * rng.choice([1, 2, 5])) for name, value in least.items()}
    hours = Hours(weights, slots, lengths)
    for hour in range(1, 4):
        there = sorted(rng.sample(names, rng.randint(1, len(names))))
        used = hours.run("".join(there), hour * 3_600.0)
        total, weight = sum(used.values()), sum(weights[name] for name in there)
        bound = slots * max(length for _, length in lengths.values())
        assert all(abs(used[name] - total * weights[name] / weight) <= bound for name in there), (used, weights)
