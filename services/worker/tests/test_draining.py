"""A worker that is taken out of service: it takes no new job, finishes what it has, and remembers it."""

import sqlite3
from pathlib import Path
from typing import Any

from studio9_common.contracts.messages import WorkerDrain
from studio9_common.ids import new_id
from studio9_worker.lease import AttemptKey
from studio9_worker.state import WorkerState


def order(draining: bool, at: str) -> WorkerDrain:
    return WorkerDrain(worker="w1", draining=draining, at=at)


async def told(platform: Any, draining: bool) -> None:
    """Until a beat says so."""
    await platform.until(lambda: platform.beats and platform.beats[-1].draining is draining)


async def test_a_drained_worker_finishes_what_it_has_and_takes_nothing_new(platform: Any) -> None:
    await platform.start_worker(cpu_slots=2)
    running = await platform.run("sleep")
    await platform.phase(running, "running", progress=0.5)
    await platform.send(order(True, "2026-11-21T10:00:02.000000Z"), "system")
    await told(platform, True)
    refused = await platform.run("succeed")
    result = await platform.result(refused)
    assert (result.outcome, result.reason.code) == ("refused", "no_slot")
    assert platform.beats[-1].slots[0].job == running, "what it has goes on"
    await platform.cancel(running)
    await platform.result(running)
    await platform.until(lambda: not any(slot.job for slot in platform.beats[-1].slots))
    assert platform.beats[-1].draining

    await platform.send(order(False, "2026-11-21T10:00:03.000000Z"), "system")
    await told(platform, False)
    job = await platform.run("succeed")
    assert (await platform.result(job)).outcome == "succeeded"


async def test_the_latest_order_counts_and_outlives_a_restart(platform: Any) -> None:
    await platform.start_worker()
    await platform.send(order(True, "2026-11-21T10:00:02.000000Z"), "system")
    await told(platform, True)
    await platform.send(order(False, "2026-11-21T10:00:01.000000Z"), "system")
    await platform.stop_worker()
    platform.beats.clear()
    await platform.start_worker()
    await told(platform, True)
    assert all(beat.draining for beat in platform.beats)
    await platform.send(order(False, "2026-11-21T10:00:04.000000Z"), "system")
    await told(platform, False)


async def test_a_state_file_of_before_traces_is_read(tmp_path: Path) -> None:
    file = tmp_path / "worker.sqlite"
    old = sqlite3.connect(file)
    old.execute(
        "CREATE TABLE attempts (job TEXT NOT NULL, fence INTEGER NOT NULL, organisation TEXT NOT NULL, slot TEXT NOT"
        " NULL, run TEXT NOT NULL, phase TEXT NOT NULL, stop TEXT, cursor_start INTEGER, cursor_lines INTEGER,"
        " checkpoint TEXT, result TEXT, PRIMARY KEY (job, fence))"
    )
    run = '{"worker": "w1", "job": "j", "attempt": 1, "fence": 1, "spec": {"kind": "train"}}'
    old.execute(
        "INSERT INTO attempts (job, fence, organisation, slot, run, phase)"
        " VALUES (?, 1, 'acme', 'cpu-0', ?, 'running')",
        (new_id(), run),
    )
    old.commit()
    old.close()
    state = WorkerState(file)
    await state.open()
    (record,) = await state.attempts()
    assert (record.key.fence, record.phase, record.traceparent) == (1, "running", None)
    assert isinstance(record.key, AttemptKey)
    await state.close()
