"""The worker's side of leases, as pure functions on frozen values: no clock, no bus, no files.

Moments are seconds on a clock that counts through a suspended machine (CLOCK_BOOTTIME); only durations come from
Orion, and they count from the moment the answered beat was sent. An attempt whose lease has run out is cut off: it
goes on computing for `disconnect_grace`, then it is given up. What Orion says ends it earlier.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from studio9_common.contracts.messages import WorkerLease

REMEMBERED_BEATS = 64
"""Answers to older beats renew nothing; at one beat in 5 s that is five minutes."""

Standing = Literal["leased", "cut_off", "given_up"]


class AttemptKey(NamedTuple):
    """An attempt of a job."""

    job: str
    fence: int


@dataclass(frozen=True, slots=True)
class Held:
    """A lease: it began at the moment `since` (the beat that was answered) and ends at `until`."""

    since: float
    until: float

    def standing(self, now: float, grace_s: float) -> Standing:
        """Where the attempt stands at a moment."""
        if now < self.until:
            return "leased"
        return "cut_off" if now < self.since + grace_s else "given_up"


@dataclass(frozen=True, slots=True)
class Order:
    """What Orion's answer asks of an attempt: go on, stop, or forget it because its result is durable."""

    key: AttemptKey
    decision: Literal["keep", "stop", "confirmed"]


@dataclass(frozen=True, slots=True)
class Leases:
    """The moments of the beats on their way, by number, and the lease of each attempt. `answered` is the last beat
    that was answered; 0 before the first answer."""

    sent: Mapping[int, float] = field(default_factory=dict)
    held: Mapping[AttemptKey, Held] = field(default_factory=dict)
    answered: int = 0


def granted(leases: Leases, key: AttemptKey, seconds: float, now: float) -> Leases:
    """With the lease that comes with `worker.run`, or that an attempt found again after a restart begins with."""
    return replace(leases, held={**leases.held, key: Held(now, now + seconds)})


def beat_sent(leases: Leases, number: int, now: float) -> Leases:
    """With a beat on its way; call it before the beat is published."""
    sent = {**leases.sent, number: now}
    for old in sorted(sent)[:-REMEMBERED_BEATS]:
        del sent[old]
    return replace(leases, sent=sent)


def answered(leases: Leases, answer: WorkerLease) -> tuple[Leases, tuple[Order, ...]]:
    """After an answer, with its orders for the attempts that are here.

    An answer to a beat that this agent did not send (its predecessor did) renews nothing, but its other orders
    hold: what is superseded or confirmed stays so. Late and doubled answers never shorten a lease.
    """
    moment = leases.sent.get(answer.beat)
    held = dict(leases.held)
    orders = []
    for one in answer.leases:
        key = AttemptKey(one.job, one.fence)
        if key not in held:
            continue
        if one.decision == "keep":
            if moment is None:
                continue
            before = held[key]
            held[key] = Held(max(before.since, moment), max(before.until, moment + one.seconds))
        orders.append(Order(key, one.decision))
    if moment is None:
        return leases, tuple(orders)
    sent = {number: when for number, when in leases.sent.items() if number > answer.beat}
    return Leases(sent, held, max(leases.answered, answer.beat)), tuple(orders)


def released(leases: Leases, key: AttemptKey) -> Leases:
    """Without an attempt that is over."""
    held = dict(leases.held)
    held.pop(key, None)
    return replace(leases, held=held)


def given_up(leases: Leases, now: float, grace_s: float) -> tuple[AttemptKey, ...]:
    """The attempts that have been cut off for longer than the grace."""
    return tuple(key for key, lease in leases.held.items() if lease.standing(now, grace_s) == "given_up")
