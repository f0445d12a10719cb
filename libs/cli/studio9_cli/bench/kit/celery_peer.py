"""Celery with the guarantees that the platform gives: the tasks, and a program that submits them.

Runs in the bench's own environment (`requirements/bench.lock`), as a script: Celery is no part of the platform. The
worker is `celery -A celery_peer worker`; the program reads how many tasks to submit, a number a line, and answers each
line once the broker has confirmed them all. `BROKER` and `RESULTS` hold the addresses.
"""

import importlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

AT_ONCE = 8
"""Publishers that each go on once their task is confirmed."""
TRIES, PAUSE_S = 50, 0.1

# By name: where the code is checked there is no Celery.
app: Any = importlib.import_module("celery").Celery(
    "celery_peer", broker=os.environ["BROKER"], backend=os.environ["RESULTS"]
)
app.conf.update(
    task_default_queue="celery-bench",
    task_default_queue_type="quorum",
    worker_detect_quorum_queues=True,
    broker_transport_options={"confirm_publish": True},
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=64,
    worker_concurrency=2,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_pool_limit=AT_ONCE,
)


def nothing() -> None:
    """A task that does nothing."""


noop = app.task(nothing, name="nothing")


def submit() -> None:
    """Once more where the broker refuses: it does while the queue that it has just made has no leader."""
    refused = importlib.import_module("kombu.exceptions").OperationalError
    for left in reversed(range(TRIES)):
        try:
            noop.delay()
        except refused:
            if not left:
                raise
            time.sleep(PAUSE_S)
        else:
            return


def main() -> None:
    """Submits what standard input asks for, until it ends."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in sys.stdin:
            for sent in [pool.submit(submit) for _ in range(int(line))]:
                sent.result()
            print("submitted", flush=True)


if __name__ == "__main__":
    main()
