"""Leases as pure functions: what renews, what ends, and what late or doubled answers may not do."""

import random

from studio9_common.contracts.messages import Lease, WorkerLease
from studio9_worker.lease import (
    REMEMBERED_BEATS,
    AttemptKey,
    Held,
    Leases,
    Order,
    answered,
    beat_sent,
    given_up,
    granted,
    released,
)

ONE, TWO = AttemptKey("j1", 1), AttemptKey("j2", 4)
GRACE = 100.0


def answer(beat: int, *leases: tuple[AttemptKey, str], seconds: float = 20) -> WorkerLease:
    given = tuple(Lease(job=key.job, fence=key.fence, decision=what, seconds=seconds) for key, what in leases)  # type: ignore[arg-type]
    return WorkerLease(worker="w", beat=beat, leases=given)


def test_a_lease_counts_from_the_moment_the_beat_was_sent() -> None:
    leases = beat_sent(granted(Leases(), ONE, 20, now=0), 7, now=5)
    leases, orders = answered(leases, answer(7, (ONE, "keep"), seconds=30))
    assert orders == (Order(ONE, "keep"),)
    assert leases.held[ONE] == Held(5, 35)
    assert leases.answered == 7


def test_a_lease_runs_out_then_the_grace_does() -> None:
    held = granted(Leases(), ONE, 20, now=50).held[ONE]
    assert [held.standing(now, GRACE) for now in (50, 69.9, 70, 149.9, 150)] == [
        "leased",
        "leased",
        "cut_off",
        "cut_off",
        "given_up",
    ]


def test_only_what_was_cut_off_for_the_whole_grace_is_given_up() -> None:
    leases = granted(granted(Leases(), ONE, 20, now=0), TWO, 20, now=10)
    assert given_up(leases, 99, GRACE) == ()
    assert given_up(leases, 105, GRACE) == (ONE,)
    assert given_up(leases, 110, GRACE) == (ONE, TWO)


def test_an_answer_to_an_unknown_beat_renews_nothing_but_its_orders_hold() -> None:
    leases = granted(granted(Leases(), ONE, 20, now=0), TWO, 20, now=0)
    after, orders = answered(leases, answer(3, (ONE, "keep"), (TWO, "stop")))
    assert orders == (Order(TWO, "stop"),)
    assert after == leases


def test_answers_out_of_order_and_doubled_never_shorten() -> None:
    leases = granted(Leases(), ONE, 20, now=0)
    for beat, now in ((1, 5.0), (2, 10.0), (3, 15.0)):
        leases = beat_sent(leases, beat, now)
    leases, _ = answered(leases, answer(3, (ONE, "keep")))
    best = leases.held[ONE]
    for late in (answer(1, (ONE, "keep")), answer(3, (ONE, "keep")), answer(2, (ONE, "keep"), seconds=1)):
        leases, _ = answered(leases, late)
        assert leases.held[ONE] == best
    assert leases.answered == 3


def test_an_answer_about_what_is_not_here_says_nothing() -> None:
    leases = released(beat_sent(granted(Leases(), ONE, 20, now=0), 1, 1), ONE)
    _, orders = answered(leases, answer(1, (ONE, "confirmed"), (TWO, "stop")))
    assert orders == ()


def test_an_attempt_that_the_answer_leaves_out_goes_on_under_its_old_lease() -> None:
    leases = beat_sent(granted(granted(Leases(), ONE, 20, now=0), TWO, 20, now=0), 1, 5)
    leases, _ = answered(leases, answer(1, (TWO, "keep")))
    assert (leases.held[ONE].until, leases.held[TWO].until) == (20, 25)


def test_beats_that_are_never_answered_are_forgotten() -> None:
    leases = Leases()
    for beat in range(500):
        leases = beat_sent(leases, beat, float(beat))
    assert len(leases.sent) == REMEMBERED_BEATS
    assert min(leases.sent) == 500 - REMEMBERED_BEATS


def test_a_lease_is_never_longer_than_the_last_heard_beat_allows() -> None:
    """Over any order of beats and answers: until <= (send time of the newest answered beat) + seconds."""
    for seed in range(200):
        chance = random.Random(seed)
        leases, sent, now, heard = granted(Leases(), ONE, 20, 0), [], 0.0, [0.0]
        for number in range(1, 40):
            now += chance.uniform(0, 6)
            leases = beat_sent(leases, number, now)
            sent.append((number, now))
            for beat, moment in chance.sample(sent[-8:], chance.randint(0, min(3, len(sent)))):
                leases, orders = answered(leases, answer(beat, (ONE, "keep")))
                heard += [moment] if orders else []
            assert leases.held[ONE].until == max(heard) + 20
            assert leases.held[ONE].since == max(heard)
