"""Which cores are free: what works now counts, not what worked a minute ago."""

import time

from studio9_worker.machine import SPAN_S, BusyCores, cores, threads_for


def test_threads_follow_the_cores_in_use() -> None:
    assert threads_for(64, 0, 0.0) == cores()
    assert threads_for(64, 0, float(cores())) == 1
    assert threads_for(64, 3, float(cores())) == 3


def test_what_works_now_is_measured() -> None:
    busy = BusyCores()
    assert busy.now() is None
    ends = time.monotonic() + SPAN_S + 0.4
    while time.monotonic() < ends:
        pass
    measured = busy.now()
    assert measured is not None
    assert 0.5 < measured <= cores() + 0.5
    assert busy.now() == measured, "too short a time says nothing"


def test_what_was_promised_counts_before_it_is_used() -> None:
    busy = BusyCores()
    busy.now()
    time.sleep(SPAN_S + 0.1)
    busy.promise("a", 5)
    busy.promise("b", 7)
    assert busy.now() == 12.0
    busy.release("a")
    busy.release("b")
    assert (busy.now() or 0) < 12
