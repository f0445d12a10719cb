"""What a seed means: the jobs that are asked for, and the faults that meet them."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from studio9_cli.simulation.clock import EPOCH_MS
from studio9_cli.simulation.timing import USUAL, Timing, timing_of
from studio9_common.contracts.job import Requirements, Spec
from studio9_common.ids import new_id

HOUR_S = 3600.0
ORIONS = ("orion-a", "orion-b")
CLIENTS = ("baile", "pegasus")
WORKERS: dict[str, tuple[int, tuple[float, ...]]] = {"w1": (2, ()), "w2": (1, (24.0,)), "w3": (0, (16.0, 16.0))}
"""By worker: how many slots without a GPU, and the memory (GiB) of each GPU."""
JOBS, FAULTS = (20, 24), (10, 13)
BEYOND_S = 240.0
"""How long faults last at most after a lease is over that began with them."""
SEARCH = "tune"
"""The kind of a task that asks for children."""
SEARCHED, SEARCH_TROUBLE = 0.35, 0.7
"""How many runs have searches, and how many of those meet a fault at the moment when they ask."""
LONG = 0.08
"""How many runs have an hour's outage among their faults."""
FROZEN = 0.15
"""How many runs have an Orion that freezes for longer than a lease just when a training is first heard of."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A job that somebody will ask for at a time, and perhaps cancel. `ending` is what its task would come to."""

    id: str
    at: float
    organisation: str
    spec: Spec
    ending: str
    priority: int = 0
    cancel_at: float | None = None
    depends_on: tuple[str, ...] = ()
    parent: str | None = None
    retry_of: str | None = None
    """Asked for once this job has ended otherwise than completed; never, if it completes."""
    move: tuple[float, int] | None = None
    """When somebody changes its priority, and to what."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at a time, on a target, for a while. `amount` is what the kind makes of it."""

    kind: str
    at: float
    target: str = ""
    lasts: float = 0.0
    amount: float = 0.0

    def __str__(self) -> str:
        return f"{self.at:7.1f} {self.kind} {self.target} for {self.lasts:.0f} s ({self.amount:.2g})"


@dataclass(frozen=True, slots=True)
class Duty:
    """What an operator does at a time and takes back after a while: a worker takes no new jobs (`drain`), or an
    organisation runs at most `amount` jobs at once (`limit`)."""

    kind: Literal["drain", "limit"]
    at: float
    target: str
    lasts: float
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. `until`: when the last fault is over and everything must settle."""

    seed: int
    wishes: tuple[Wish, ...]
    faults: tuple[Fault, ...]
    until: float = HOUR_S
    names: dict[str, str] = field(default_factory=dict)
    """Short names of jobs, for traces."""
    duties: tuple[Duty, ...] = ()
    timing: Timing = USUAL


def plan_of(seed: int) -> Plan:
    """The plan of a seed."""
    rng, timing = random.Random(f"plan:{seed}"), timing_of(seed)
    lease_s = timing.lease_s
    wishes = _wishes(rng, timing)
    faults: list[Fault] = []
    for _ in range(rng.randint(*FAULTS)):
        faults.append(_fault(rng, _moment(rng, wishes, faults), lease_s))
    if rng.random() < LONG:
        target = rng.choice(("bus", "store", "objects", "orions", "w1"))
        faults.append(Fault("outage", rng.uniform(120, 1500), target, HOUR_S))
    duties = _duties(rng)
    for duty in duties:
        if duty.kind == "drain" and rng.random() < 0.4:  # what it was told must outlive the agent
            faults.append(Fault("crash_agent", duty.at + rng.uniform(20, 200), duty.target, rng.uniform(5, 60)))
    searches, troubles = _searches(seed, lease_s)
    faults = sorted([*faults, *troubles, *_frozen(seed, wishes, lease_s)], key=lambda fault: fault.at)
    until = max([HOUR_S, *(fault.at + fault.lasts for fault in faults)])
    names = {wish.id: f"j{number}" for number, wish in enumerate(wishes)}
    names |= {wish.id: f"search{number}" for number, wish in enumerate(searches)}
    return Plan(seed, (*wishes, *searches), tuple(faults), until, names, duties, timing)


def _searches(seed: int, lease_s: float) -> tuple[list[Wish], list[Fault]]:
    """Jobs whose tasks ask for children, in about every third run, and what meets them when they ask; drawn apart, so
    that the rest of a seed's plan does not depend on them."""
    rng = random.Random(f"searches:{seed}")
    if rng.random() >= SEARCHED:
        return [], []
    wishes: list[Wish] = []
    faults: list[Fault] = []
    for _ in range(rng.randint(1, 2)):
        at, ending = rng.uniform(1, 1800), rng.choice(("ok", "ok", "ok", "crash,ok"))
        rounds = [[_trial(rng) for _ in range(rng.randint(1, 3))] for _ in range(rng.randint(1, 2))]
        parameters = {"rounds": rounds, **_task(rng, ending), "epochs": len(rounds) + 1}
        rule: Literal["go_on", "fail"] = rng.choice(("go_on", "go_on", "fail"))
        spec = Spec(kind=SEARCH, parameters=parameters, max_run_s=20_000.0, child_failure=rule)
        made = new_id(now_ms=EPOCH_MS + int(at * 1000), entropy=rng.randbytes(10))
        asks_at = at + parameters["epoch_s"] + rng.uniform(0, 40)
        cancel_at = asks_at + rng.uniform(-10, 200) if rng.random() < 0.3 else None
        wishes.append(Wish(made, at, rng.choice(("acme", "zeta")), spec, ending, cancel_at=cancel_at))
        if rng.random() < SEARCH_TROUBLE:
            faults.append(_fault(rng, asks_at, lease_s))
    return wishes, faults


def _frozen(seed: int, wishes: list[Wish], lease_s: float) -> list[Fault]:
    """An Orion that freezes with a first beat in hand, in some runs; drawn apart, as searches are."""
    rng = random.Random(f"frozen:{seed}")
    trainings = [wish for wish in wishes if wish.spec.kind == "train" and wish.parent is None and not wish.depends_on]
    if rng.random() >= FROZEN or not trainings:
        return []
    at = rng.choice(trainings).at + rng.uniform(0.5, 10)
    return [Fault("pause_orion", at, rng.choice(ORIONS), rng.uniform(lease_s, 2 * lease_s))]


def _trial(rng: random.Random) -> dict[str, Any]:
    task = _task(rng, rng.choice(("ok", "ok", "ok", "ok", "user_error", "crash,ok", "crash")))
    epochs = 1 + int(1_000 * task["epoch_s"]) % 3  # some leave checkpoints on their way
    return {**task, "epochs": epochs, "epoch_s": task["epoch_s"] / epochs}


def _task(rng: random.Random, ending: str) -> dict[str, Any]:
    return {
        "epoch_s": rng.uniform(2, 60),
        "endings": tuple(ending.split(",")),
        "fails_at": rng.uniform(0.05, 0.95),
        "stubborn": rng.random() < 0.2,
    }


def _duties(rng: random.Random) -> tuple[Duty, ...]:
    """An operator at work, in every other run."""
    duties: list[Duty] = []
    if rng.random() < 0.35:
        duties.append(Duty("drain", rng.uniform(60, 2500), rng.choice(list(WORKERS)), rng.uniform(100, 900)))
    if rng.random() < 0.35:
        house = rng.choice(("acme", "acme", "zeta"))
        duties.append(Duty("limit", rng.uniform(60, 2000), house, rng.uniform(200, 1000), rng.randint(1, 2)))
    return tuple(duties)


def contention(seed: int) -> Plan:
    """Two organisations that want all slots, one of them first and twice as many, while Orions and broker fail."""
    rng = random.Random(f"contention:{seed}")
    wishes = [_plain(rng, "acme", rng.uniform(1, 10)) for _ in range(60)]
    wishes += [_plain(rng, "zeta", rng.uniform(100, 110)) for _ in range(30)]
    kinds = ("crash_orion", "pause_orion", "broker_restart", "clock_skew")
    faults = [
        Fault(
            kind, rng.uniform(60, 600), "" if kind == "broker_restart" else rng.choice(ORIONS), rng.uniform(5, 60), 1.0
        )
        for kind in rng.choices(kinds, k=3)
    ]
    names = {wish.id: f"j{number}" for number, wish in enumerate(wishes)}
    return Plan(seed, tuple(wishes), tuple(sorted(faults, key=lambda fault: fault.at)), names=names)


def _plain(rng: random.Random, organisation: str, at: float) -> Wish:
    """A job of about a minute that fits every slot."""
    made = new_id(now_ms=EPOCH_MS + int(at * 1000), entropy=rng.randbytes(10))
    parameters = {"epochs": 1, "epoch_s": rng.uniform(50, 60), "endings": ("ok",), "fails_at": 0.5, "stubborn": False}
    return Wish(made, at, organisation, Spec(kind="evaluate", parameters=parameters), "ok")


def _wishes(rng: random.Random, timing: Timing) -> list[Wish]:
    wishes: list[Wish] = []
    for _ in range(rng.randint(*JOBS)):
        at = rng.uniform(1, 2900)
        made = new_id(now_ms=EPOCH_MS + int(at * 1000), entropy=rng.randbytes(10))
        kind = rng.choices(("train", "predict", "evaluate"), (5, 3, 2))[0]
        ending = rng.choices(("ok", "user_error", "crash,ok", "crash"), (16, 2, 1, 1))[0]
        parameters: dict[str, Any] = {
            "epochs": rng.randint(3, 10) if kind == "train" else 1,
            "epoch_s": timing.training * rng.uniform(10, 50)
            if kind == "train"
            else rng.choice((0.01, rng.uniform(5, 60), rng.uniform(5, 120))),
            "endings": tuple(ending.split(",")),
            "fails_at": rng.uniform(0.05, 0.95),
            "stubborn": rng.random() < 0.2,
        }
        spec = Spec(
            kind=kind,
            parameters=parameters,
            requirements=_requirements(rng, kind),
            max_run_s=20_000.0,
            child_failure=rng.choice(("go_on", "fail")),
        )
        earlier = [wish for wish in wishes if wish.at < at]
        depends = tuple(one.id for one in rng.sample(earlier, min(len(earlier), rng.choice((0, 0, 0, 0, 1, 2)))))
        wishes.append(
            Wish(
                id=made,
                at=at,
                organisation=rng.choice(("acme", "zeta")),
                spec=spec,
                ending=ending,
                priority=rng.choice((0, 0, 5)),
                move=(at + rng.uniform(0, 100), rng.randint(1, 9)) if rng.random() < 0.15 else None,
                cancel_at=_cancel_at(rng, at, parameters) if rng.random() < 0.3 else None,
                depends_on=depends,
                parent=_parent(rng, at, earlier) if not depends else None,
            )
        )
    wishes = [_in_one_house(wish, wishes) for wish in wishes]
    return wishes + [_again(rng, wish) for wish in wishes if _may_fail(wish) and rng.random() < 0.4]


def _parent(rng: random.Random, at: float, earlier: list[Wish]) -> str | None:
    """Rather one that still runs."""
    young = [wish for wish in earlier if wish.spec.kind == "train" and at - wish.at < 300]
    chosen = young if young and rng.random() < 0.8 else earlier
    return rng.choice(chosen).id if chosen and rng.random() < 0.2 else None


def _requirements(rng: random.Random, kind: str) -> Requirements:
    if kind != "train" or rng.random() < 0.6:
        return Requirements()
    if rng.random() < 0.2:
        return Requirements(gpus=2, gpu_memory_gib=8.0)
    return Requirements(gpus=1, gpu_memory_gib=rng.choice((8.0, 8.0, 20.0)))


def _may_fail(wish: Wish) -> bool:
    return wish.ending in {"user_error", "crash"} or wish.cancel_at is not None


def _again(rng: random.Random, wish: Wish) -> Wish:
    """Somebody corrects what was wrong, and wants the job again, from where it was."""
    made = new_id(now_ms=EPOCH_MS + int(wish.at * 1000), entropy=rng.randbytes(10))
    spec = replace(wish.spec, parameters={**wish.spec.parameters, "endings": ("ok",)})
    return Wish(made, wish.at, wish.organisation, spec, "ok", wish.priority, retry_of=wish.id)


def _cancel_at(rng: random.Random, at: float, parameters: Mapping[str, Any]) -> float:
    """Before the request, while a worker is told of it, at any time after it, or about when the job ends by itself."""
    span = parameters["epochs"] * parameters["epoch_s"]
    after = rng.choice((rng.uniform(-15, 1), rng.uniform(0, 5), rng.uniform(0, 500), span + rng.uniform(-15, 40)))
    return max(0.5, at + after)


def _in_one_house(wish: Wish, wishes: list[Wish]) -> Wish:
    """Relatives belong to one organisation: that of the first of them."""
    by_id = {one.id: one for one in wishes}
    organisations = {"acme"} if wish.depends_on or wish.parent else {wish.organisation}
    related = any(wish.id in one.depends_on or wish.id == one.parent for one in by_id.values())
    house = "acme" if related else organisations.pop()
    return replace(wish, organisation=house)


KINDS: dict[str, int] = {
    "crash_orion": 4, "crash_agent": 4, "crash_machine": 3, "kill_task": 1,
    "pause_orion": 3, "pause_worker": 2, "cut": 4, "outage": 3, "broker_restart": 2, "delete_queues": 2,
    "duplicates": 2, "reordering": 1, "delays": 1, "loss_before_confirm": 2, "confirm_lost": 2,
    "reply_lost": 2, "objects_reply_lost": 1, "partial_failures": 2, "conflicts": 1, "search_lag": 1, "slow_store": 1,
    "clock_skew": 2, "disk_full": 2, "gpu_taken": 1, "crash_client": 1,
}  # fmt: skip
"""Kinds of faults and how often each comes."""


def _moment(rng: random.Random, wishes: list[Wish], faults: list[Fault]) -> float:
    """Trouble comes at any time, but rather when something happens, and seldom alone."""
    match rng.choices(("any", "request", "cancel", "fault"), (3, 4, 3, 2))[0]:
        case "request":
            return max(1.0, rng.choice(wishes).at + rng.uniform(-0.5, 3.0))
        case "cancel" if times := [wish.cancel_at for wish in wishes if wish.cancel_at is not None]:
            return max(1.0, rng.choice(times) + rng.uniform(-15.0, 1.0))
        case "fault" if faults:
            return rng.choice(faults).at + rng.uniform(0.0, 20.0)
    return rng.uniform(30, 3300)


def _skew(rng: random.Random, lease_s: float) -> float:
    """A little, as clocks that are kept go; or about a lease, which is where it would hurt."""
    return rng.choice((rng.uniform(-2, 2), rng.choice((-1, 1)) * lease_s * rng.uniform(0.3, 1.2)))


def _fault(rng: random.Random, at: float, lease_s: float) -> Fault:
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    lasts, amount, target = rng.choice((rng.uniform(5, 150), lease_s + rng.uniform(0, BEYOND_S))), 0.0, ""
    workers = list(WORKERS)
    match kind:
        case "crash_orion" | "pause_orion":
            target = rng.choice((*ORIONS, *ORIONS, "orions"))
        case "crash_agent" | "crash_machine" | "pause_worker" | "kill_task":
            target = rng.choice(workers)
        case "cut":
            target = rng.choice((*ORIONS, *workers)) + ":" + rng.choice(("bus", "bus", "store", "objects"))
        case "outage":
            target, lasts = rng.choice(("bus", "store", "objects", "orions")), rng.choice((10.0, 60.0, 400.0))
        case "broker_restart" | "delete_queues":
            lasts = rng.uniform(2, 20) if kind == "broker_restart" else 0.0
        case "duplicates" | "reordering" | "delays":
            amount = rng.uniform(0.05, 0.5)
        case "loss_before_confirm" | "confirm_lost" | "reply_lost" | "objects_reply_lost" | "partial_failures":
            amount = rng.uniform(0.05, 0.4)
        case "conflicts":
            amount = rng.uniform(0.05, 0.5)
        case "search_lag":
            amount = rng.uniform(5, 60)
        case "slow_store":
            amount = rng.uniform(0.5, 6)
        case "clock_skew":
            target, amount = rng.choice((*ORIONS, *workers)), _skew(rng, lease_s)
            if target in WORKERS:
                amount *= 1000
            elif abs(amount) > 0.3 * lease_s and rng.random() < 0.7:  # long enough for the other Orion to judge by it
                lasts = lease_s * rng.uniform(1.5, 3)
        case "disk_full":
            target = rng.choice((*workers, "bus", "store"))
        case "gpu_taken":
            target = rng.choice([name for name, (_, gpus) in WORKERS.items() if gpus])
        case "crash_client":
            target = rng.choice(CLIENTS)
    return Fault(kind, at, target, lasts, amount)
