"""What a run will do, from its seed alone: which jobs are asked for, and which faults happen when."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

ORIONS = ("orion-1", "orion-2")
WORKERS = ("worker-1", "worker-2", "worker-3")
SERVICES = ("aries", *ORIONS, *WORKERS)
SERVERS = ("broker", "store")
ORGANISATIONS = ("north", "south", "west")
LINKS = (
    *((name, "broker") for name in (*ORIONS, *WORKERS)),
    ("aries", "store"),
    *((name, "aries") for name in ORIONS),
)
"""Who speaks to what; each has a proxy of its own."""

Ending = Literal["ok", "user_error", "stubborn"]
OUTAGE_S = 60.0
BUSIEST = "busiest worker"
"""A target that is chosen when the fault begins: the worker with most tasks, or those that die would often be none."""
FIRST_S, GAP_S = 6.0, 5.0
"""Before the first fault, so that it finds jobs at work; at most between the end of one and the next."""
TOGETHER = 0.2
"""How often a fault begins while the one before is still there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A job that somebody wants. Times are seconds from the start; `cancel_s` counts from its own request. `parent`
    and `depends_on` are numbers of earlier wishes."""

    at: float
    organisation: str
    ending: Ending
    epochs: int
    epoch_s: float
    cancel_s: float | None = None
    parent: int | None = None
    depends_on: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks at a time and is repaired `lasts` seconds later. `target`: an instance, a server, a link
    `service:server`, `orions`, `workers`, BUSIEST, or `all:server` for all links to one."""

    at: float
    kind: str
    target: str
    lasts: float

    @property
    def name(self) -> str:
        """What the report sorts it under: the kind and the service or server."""
        return f"{self.kind} {self.target.partition('-')[0] if ':' not in self.target else 'link'}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run of `seconds`."""

    seed: int
    seconds: float
    wishes: tuple[Wish, ...]
    faults: tuple[Fault, ...] = field(default=())


def plan_of(seed: int, seconds: float, jobs: int, *, proxied: bool, long_s: float) -> Plan:
    """The plan of a seed. `long_s`: how long the longest tasks run; `proxied`: whether links can be broken."""
    wishes = tuple(_wishes(random.Random(f"jobs {seed}"), seconds, jobs, long_s))
    return Plan(seed, seconds, wishes, tuple(_faults(random.Random(f"faults {seed}"), seconds, proxied)))


def _wishes(rng: random.Random, seconds: float, jobs: int, long_s: float) -> Iterator[Wish]:
    owners: list[str] = []
    depends_on: tuple[int, ...]
    for number, at in enumerate(sorted(rng.uniform(0, 0.95 * seconds) for _ in range(jobs))):
        kind = rng.random()
        epochs, epoch_s = (rng.randint(1, 4), rng.uniform(0.1, 1.2)) if kind > 0.25 else (8, rng.uniform(0.4, 1.4))
        if kind < 0.04:
            epochs, epoch_s = 8, long_s / 8
        chance = rng.random()
        ending: Ending = "user_error" if chance < 0.1 else "stubborn" if chance < 0.14 else "ok"
        cancel_s = rng.choice((0.0, rng.uniform(0, 2), rng.uniform(0, 8))) if rng.random() < 0.12 else None
        organisation = rng.choice(ORGANISATIONS)
        # Another organisation's jobs are nobody's here: what depends on one waits for ever.
        mine = [other for other in range(max(0, number - 20), number) if owners[other] == organisation][-6:]
        parent, depends_on, relation = None, (), rng.random()
        if mine and relation < 0.06:
            parent = rng.choice(mine)
        elif mine and relation < 0.16:
            depends_on = tuple(sorted(rng.sample(mine, min(len(mine), rng.choice((1, 1, 2))))))
        owners.append(organisation)
        yield Wish(round(at, 3), organisation, ending, epochs, round(epoch_s, 3), cancel_s, parent, depends_on)


def _faults(rng: random.Random, seconds: float, proxied: bool) -> Iterator[Fault]:
    at, bag = FIRST_S, list[tuple[str, str, float]]()
    while at < seconds - 2:
        if not bag:
            bag = [*_kinds(rng, seconds, proxied)]
            rng.shuffle(bag)
        kind, target, lasts = bag.pop()
        lasts = round(min(lasts, max(1.0, seconds - at)), 2)
        yield Fault(round(at, 2), kind, target, lasts)
        at += rng.uniform(0, lasts) if rng.random() < TOGETHER else lasts + rng.uniform(1.0, GAP_S)


def _kinds(rng: random.Random, seconds: float, proxied: bool) -> Iterator[tuple[str, str, float]]:
    """Each kind of fault with each kind of target once, and how long it lasts."""
    outage_s = min(OUTAGE_S, seconds / 8)
    one = [rng.choice(ORIONS), rng.choice(WORKERS), "aries"]
    for name in [*one, rng.choice(WORKERS)]:
        yield "kill", name, rng.choice((0.0, rng.uniform(0, 8)))
        yield "freeze", name, rng.uniform(2, 12)
    for lasts in (rng.uniform(0, 4), rng.uniform(8, 14)):
        yield "kill_machine", BUSIEST, lasts
    yield "kill_tasks", BUSIEST, 0.0
    for server in SERVERS:
        yield "kill", server, rng.uniform(0, 3)
        yield "restart", server, rng.uniform(0, 1)
        yield "freeze", server, rng.uniform(2, 12)
    yield "delete_queues", "broker", 0.0
    for target in (*SERVERS, "aries", "orions", "workers"):
        yield "outage", target, outage_s
    if proxied:
        for toxic in ("slow", "narrow", "hang", "cut"):
            for _ in range(2):
                service, server = rng.choice(LINKS)
                yield toxic, f"{service}:{server}", rng.uniform(2, 12)
        yield "cut", "all:broker", rng.uniform(1, 8)
        yield "hang", "all:store", rng.uniform(1, 8)
