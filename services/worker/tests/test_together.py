"""Much at once: commits that share a sync, commands about different jobs, more attempts than a beat holds."""

import asyncio
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from studio9_common.contracts.envelope import encode
from studio9_common.contracts.job import Spec
from studio9_common.contracts.messages import AttemptBeat, Slot, WorkerBeat, WorkerRun
from studio9_common.ids import new_id
from studio9_common.times import SystemClock
from studio9_worker.beats import MOST, Beats
from studio9_worker.lease import AttemptKey
from studio9_worker.records import AttemptRecord, Seen
from studio9_worker.state import WorkerState
from studio9_worker.turns import Turns


def record(job: str) -> AttemptRecord:
    run = WorkerRun(
        worker="w1", job=job, attempt=1, fence=1, spec=Spec(kind="train"), epoch=1, lease_s=20, disconnect_grace_s=60
    )
    return AttemptRecord(AttemptKey(job, 1), "acme", ("cpu-0",), run, "staging")


async def test_writes_that_wait_share_a_transaction_and_fail_alone(tmp_path: Path) -> None:
    file = tmp_path / "w.sqlite"
    state = WorkerState(file)
    await state.open()
    now, jobs = SystemClock().now(), [new_id() for _ in range(50)]
    await state.accept(record(jobs[0]), now)
    outcomes = await asyncio.gather(*(state.accept(record(job), now) for job in jobs), return_exceptions=True)
    assert isinstance(outcomes[0], sqlite3.IntegrityError), "it is there already"
    assert outcomes[1:] == [Seen()] * 49
    assert (await state.seen(jobs[0])).highest == 1
    await state.close()
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT count(*) FROM attempts").fetchone() == (50,)
    database.close()


async def test_a_write_whose_caller_is_gone_harms_no_other(tmp_path: Path) -> None:
    state = WorkerState(tmp_path / "w.sqlite")
    await state.open()
    now, jobs = SystemClock().now(), [new_id() for _ in range(3)]
    writes = [asyncio.create_task(state.accept(record(job), now)) for job in jobs]
    await asyncio.sleep(0)
    writes[1].cancel()
    await asyncio.wait(writes)
    assert writes[1].cancelled() and writes[0].exception() is writes[2].exception() is None
    await state.close()
    with pytest.raises(RuntimeError):
        await state.accept(record(new_id()), now)


async def test_turns_are_taken_by_name() -> None:
    turns, order = Turns(), list[str]()
    first, second = asyncio.Event(), asyncio.Event()

    async def take(name: str, told: str, go_on: asyncio.Event) -> None:
        async with turns.of(name):
            order.append(told)
            await go_on.wait()

    tasks = [asyncio.create_task(take(*one)) for one in (("a", "a1", first), ("a", "a2", second), ("b", "b1", second))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["a1", "b1"]
    first.set()
    second.set()
    await asyncio.gather(*tasks)
    assert order == ["a1", "b1", "a2"]
    assert not turns._locks


def test_more_attempts_than_a_beat_holds_are_shown_in_turn() -> None:
    lives: Any = list(range(3 * MOST + 7))
    agent: Any = SimpleNamespace(lives=lives, changed=asyncio.Event())
    beats = Beats(agent, lambda: True, generation=1, instance="i")
    shown = [beats._shown() for _ in range(4)]
    assert all(len(one) == MOST for one in shown) and {life for one in shown for life in one} == set(lives)
    assert agent.changed.is_set(), "the others follow soon"
    agent.lives = lives[:MOST]
    assert beats._shown() == agent.lives


def test_the_most_attempts_and_slots_of_a_beat_fit_into_a_message() -> None:
    attempts = tuple(
        AttemptBeat(job=new_id(), organisation="o" * 36, fence=10, sequence=1 << 40, phase="running", progress=1 / 3)
        for _ in range(MOST)
    )
    slots = tuple(Slot(id=f"cpu-{number}", job=new_id()) for number in range(64))
    beat = WorkerBeat(worker="w" * 64, instance=new_id(), sequence=1 << 40, slots=slots, attempts=attempts)
    assert len(encode(beat, source="worker", organisation="system").body) < 64 * 1024
