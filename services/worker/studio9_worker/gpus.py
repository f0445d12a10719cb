"""The machine's GPUs, by NVIDIA's management library; none where its driver is not there. Blocks.

A card that is split (MIG) counts as its parts, each with memory of its own.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pynvml

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, or one part of a split one. Memory is GiB; `use` is 0 to 1; None where the driver does not tell."""

    uuid: str
    memory_gib: float
    free_gib: float
    use: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that answer, in the driver's order; empty without a driver."""
    found: list[Gpu] = []
    with suppress(pynvml.NVMLError), _driver():
        for index in range(pynvml.nvmlDeviceGetCount()):
            with suppress(pynvml.NVMLError):  # one that fell off its bus hides none of the others
                found += [_look(part) for part in _parts(pynvml.nvmlDeviceGetHandleByIndex(index))]
    return tuple(found)


@contextmanager
def _driver() -> Iterator[None]:
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


def _parts(card: Any) -> list[Any]:
    """The parts of a split card, or the card."""
    with suppress(pynvml.NVMLError):
        if pynvml.nvmlDeviceGetMigMode(card)[0] == pynvml.NVML_DEVICE_MIG_ENABLE:
            parts = []
            for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(card)):
                with suppress(pynvml.NVMLError):
                    parts.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(card, index))
            return parts
    return [card]


def _look(card: Any) -> Gpu:
    memory = pynvml.nvmlDeviceGetMemoryInfo(card)
    use = temperature = power = None
    with suppress(pynvml.NVMLError):
        use = pynvml.nvmlDeviceGetUtilizationRates(card).gpu / 100
    with suppress(pynvml.NVMLError):
        temperature = float(pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU))
    with suppress(pynvml.NVMLError):
        power = pynvml.nvmlDeviceGetPowerUsage(card) / 1000
    uuid = pynvml.nvmlDeviceGetUUID(card)
    return Gpu(
        uuid=uuid.decode() if isinstance(uuid, bytes) else str(uuid),
        memory_gib=round(memory.total / GIB, 2),
        free_gib=round(memory.free / GIB, 2),
        use=use,
        temperature_c=temperature,
        power_w=power,
    )


def figures(found: tuple[Gpu, ...], devices: Mapping[str, str]) -> dict[str, float]:
    """What a beat tells of the GPUs, each under its slot's name (`gpu_0_use`); `devices` is slot id → the GPU's id."""
    told: dict[str, float] = {}
    slot_of = {uuid: slot.replace("-", "_") for slot, uuid in devices.items()}
    for gpu in found:
        measured = {
            "memory_gib": gpu.memory_gib,
            "memory_free_gib": gpu.free_gib,
            "use": gpu.use,
            "temperature_c": gpu.temperature_c,
            "power_w": gpu.power_w,
        }
        told |= {f"{slot_of[gpu.uuid]}_{name}": value for name, value in measured.items() if value is not None}
    return told
