"""The history of workers' machines: a document a minute, whoever writes it, and the newest last."""

from datetime import timedelta
from typing import Any

from studio9_common.contracts.collections import TELEMETRY
from studio9_common.contracts.messages import WorkerBeat
from studio9_common.documents.port import Where
from studio9_orion.machines import Machines


def beat(worker: str, **machine: float) -> WorkerBeat:
    return WorkerBeat(worker=worker, instance="i", sequence=1, slots=(), machine=machine)


async def test_a_minute_is_written_once_by_any_orion(world: Any) -> None:
    one, other = Machines(world.store), Machines(world.store)
    now = world.clock.now().replace(second=0, microsecond=0)  # a minute by the clock, not any sixty seconds
    await one.note([beat("w1", load=0.5, gpu_0_temperature_c=61.0), beat("w2", load=0.1)], now)
    await one.note([beat("w1", load=0.9)], now + timedelta(seconds=5))
    await other.note([beat("w1", load=0.7)], now + timedelta(seconds=6))
    await one.note([beat("w1", load=1.5)], now + timedelta(seconds=60))
    later = now + timedelta(seconds=61)
    history = await one.history("w1", later, 1)
    assert [point["machine"] for point in history] == [{"load": 0.7}, {"load": 1.5}]
    assert await one.history("w1", later + timedelta(hours=2), 1) == []
    (only,) = await other.history("w2", later, 1)
    assert only["machine"] == {"load": 0.1}
    stored = await world.store.search(TELEMETRY.name, Where(equals={"key": "w2"}), fresh=True)
    assert [item.body["organisation"] for item in stored.items] == ["system"]


async def test_a_beat_that_measured_nothing_is_no_history(world: Any) -> None:
    machines = Machines(world.store)
    await machines.note([beat("w1")], world.clock.now())
    assert await machines.history("w1", world.clock.now() + timedelta(seconds=1), 1) == []
