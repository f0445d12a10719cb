"""GPUs as slots. This machine's own are looked at, if it has any."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from studio9_common.contracts.job import Requirements
from studio9_common.metrics import Metrics
from studio9_worker.gpus import Gpu, figures, gpus
from studio9_worker.metrics import measure_worker
from studio9_worker.slots import machine_slots

TWO = (Gpu("GPU-a", 80.0, 79.0, 0.5, 41.0, 120.5), Gpu("MIG-b", 10.0, 4.0))


def test_each_gpu_is_a_slot_with_its_own_device() -> None:
    slots = machine_slots(1, TWO, ("fast",))
    assert [slot.id for slot in slots.slots] == ["cpu-0", "gpu-0", "gpu-1"]
    assert slots.devices == {"gpu-0": "GPU-a", "gpu-1": "MIG-b"}
    (found,) = slots.fitting(Requirements(gpus=1, gpu_memory_gib=20.0), ())
    assert (found.id, found.gpu_memory_gib) == ("gpu-0", 80.0)


def test_free_memory_is_what_was_measured_last() -> None:
    slots = machine_slots(1, TWO).measured((Gpu("GPU-a", 80.0, 3.0), TWO[1]))
    assert [slot.gpu_memory_free_gib for slot in slots.slots] == [0.0, 3.0, 4.0]
    assert slots.fitting(Requirements(gpus=1, gpu_memory_gib=20.0), ()) == ()


def test_a_gpu_that_is_gone_has_no_slot_and_comes_back_under_its_number() -> None:
    whole = machine_slots(1, TWO)
    less = whole.measured(TWO[1:])
    assert [slot.id for slot in less.slots] == ["cpu-0", "gpu-1"]
    assert [slot.id for slot in less.fitting(Requirements(gpus=1), ())] == ["gpu-1"]
    assert less.fitting(Requirements(gpus=1), ("gpu-1",)) == ()
    assert less.measured(TWO) == whole


def test_a_gpu_that_was_added_has_a_number_of_its_own() -> None:
    slots = machine_slots(1, TWO[:1]).measured((Gpu("GPU-c", 24.0, 24.0), TWO[0]))
    assert slots.devices == {"gpu-0": "GPU-a", "gpu-1": "GPU-c"}
    assert {slot.id: slot.gpu_memory_gib for slot in slots.slots} == {"cpu-0": 0.0, "gpu-1": 24.0, "gpu-0": 80.0}


def test_the_next_agent_knows_each_gpu_by_the_number_that_tasks_were_given() -> None:
    before = machine_slots(1, TWO)
    assert machine_slots(1, TWO[1:], known=before.devices).devices == before.devices
    assert [slot.id for slot in machine_slots(1, TWO[1:], known=before.devices).slots] == ["cpu-0", "gpu-1"]


def test_a_beat_tells_what_the_driver_tells() -> None:
    told = figures(TWO, machine_slots(1, TWO).devices)
    assert (told["gpu_0_use"], told["gpu_0_temperature_c"], told["gpu_0_power_w"]) == (0.5, 41.0, 120.5)
    assert {name for name in told if name.startswith("gpu_1")} == {"gpu_1_memory_gib", "gpu_1_memory_free_gib"}
    assert set(figures(TWO[1:], machine_slots(1, TWO).devices)) == {"gpu_1_memory_gib", "gpu_1_memory_free_gib"}


class Driver:
    """A driver as pynvml shows it, whose second card fell off its bus."""

    def nvmlInit(self) -> None: ...

    def nvmlShutdown(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 3

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return index

    def nvmlDeviceGetMemoryInfo(self, card: int) -> SimpleNamespace:
        return SimpleNamespace(total=24 << 30, free=23 << 30)

    def nvmlDeviceGetUUID(self, card: int) -> str:
        return f"GPU-{card}"

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvmlDevice"):
            return getattr(pynvml, name)

        def unsupported(*_: Any) -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

        return unsupported


def test_a_card_that_is_lost_hides_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio9_worker.gpus.pynvml", Driver())
    assert [(gpu.uuid, gpu.free_gib, gpu.use) for gpu in gpus()] == [("GPU-0", 23.0, None), ("GPU-2", 23.0, None)]


@pytest.mark.skipif(not Path("/dev/nvidiactl").exists(), reason="this machine has no GPU of NVIDIA's")
def test_the_gpus_of_this_machine() -> None:
    found = gpus()
    assert found
    for gpu in found:
        assert gpu.uuid.startswith(("GPU-", "MIG-"))
        assert 0 <= gpu.free_gib <= gpu.memory_gib


async def test_the_machine_and_its_gpus_are_metrics() -> None:
    machine = {"cores_busy": 0.5, **figures(TWO, machine_slots(1, TWO).devices)}
    agent: Any = SimpleNamespace(slots=machine_slots(1, TWO), occupied=dict, lives=[], draining=False, machine=machine)
    metrics = Metrics()
    measure_worker(metrics, lambda: agent)
    text = (await metrics.render()).decode()
    assert 'studio9_worker_gpu{gpu="0",measure="temperature_c"} 41.0' in text
    assert 'studio9_worker_gpu{gpu="1",measure="memory_free_gib"} 4.0' in text
    assert 'studio9_worker_machine{measure="cores_busy"} 0.5' in text
    assert 'studio9_worker_machine{measure="memory_gib"}' in text
    assert 'studio9_worker_machine{measure="gpu' not in text
