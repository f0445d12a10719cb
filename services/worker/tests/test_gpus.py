"""GPUs as slots. This machine's own are looked at, if it has any."""

from studio9_common.contracts.job import Requirements
from studio9_worker.gpus import Gpu, figures, gpus
from studio9_worker.slots import machine_slots

TWO = (Gpu("GPU-a", 80.0, 79.0, 0.5, 41.0, 120.5), Gpu("MIG-b", 10.0, 4.0))


def test_each_gpu_is_a_slot_with_its_own_device() -> None:
    slots = machine_slots(1, TWO, ("fast",))
    assert [slot.id for slot in slots.slots] == ["cpu-0", "gpu-0", "gpu-1"]
    assert slots.devices == {"gpu-0": "GPU-a", "gpu-1": "MIG-b"}
    (found,) = slots.fitting(Requirements(gpus=1, gpu_memory_gib=20.0), ())
    assert (found.id, found.gpu_memory_gib) == ("gpu-0", 80.0)


def test_free_memory_is_what_was_measured_last() -> None:
    slots = machine_slots(1, TWO).measured((Gpu("GPU-a", 80.0, 3.0),))
    assert [slot.gpu_memory_free_gib for slot in slots.slots] == [0.0, 3.0, 0.0]
    assert slots.fitting(Requirements(gpus=1, gpu_memory_gib=20.0), ()) == ()
    assert slots.devices == {"gpu-0": "GPU-a", "gpu-1": "MIG-b"}


def test_a_beat_tells_what_the_driver_tells() -> None:
    told = figures(TWO)
    assert (told["gpu_0_use"], told["gpu_0_temperature_c"], told["gpu_0_power_w"]) == (0.5, 41.0, 120.5)
    assert {name for name in told if name.startswith("gpu_1")} == {"gpu_1_memory_gib", "gpu_1_memory_free_gib"}


def test_the_gpus_of_this_machine() -> None:
    for gpu in gpus():
        assert gpu.uuid.startswith(("GPU-", "MIG-"))
        assert 0 <= gpu.free_gib <= gpu.memory_gib
