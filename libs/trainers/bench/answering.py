"""What the measuring programs share: one core, and a line of JSON for each that is read."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


def one_core() -> None:
    """Stay on one core: the last, for the first serves the system's interrupts."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def answer(arms: Mapping[str, Callable[..., Mapping[str, Any]]]) -> None:
    """Run what is asked for until the input ends. Whatever else is printed goes to standard error."""
    out, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        options = json.loads(line)
        found = arms[options.pop("arm")](**options)
        out.write(json.dumps(found) + "\n")
        out.flush()


def repeated(work: Callable[[], int], seconds: float) -> float:
    """Units a second, over whole rounds of at least so many seconds in all."""
    began, done = time.perf_counter(), 0
    while True:
        done += work()
        took = time.perf_counter() - began
        if took >= seconds:
            return done / took
