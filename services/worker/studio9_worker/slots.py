"""The worker's slots: each is a place for one task at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from studio9_common.contracts.job import Requirements
from studio9_common.contracts.messages import Slot
from studio9_worker.gpus import Gpu


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of this machine and the labels that all of them carry."""

    slots: tuple[Slot, ...]
    labels: tuple[str, ...] = ()
    devices: Mapping[str, str] = field(default_factory=dict)
    """Slot id → the GPU's id."""

    def measured(self, gpus: tuple[Gpu, ...]) -> "Slots":
        """The same slots with the memory that is free now."""
        free = {gpu.uuid: gpu.free_gib for gpu in gpus}
        now = tuple(
            slot.model_copy(update={"gpu_memory_free_gib": free.get(self.devices[slot.id], 0.0)})
            if slot.id in self.devices
            else slot
            for slot in self.slots
        )
        return replace(self, slots=now)

    def fitting(self, needs: Requirements, taken: Iterable[str]) -> tuple[Slot, ...]:
        """Free slots for these requirements, one for each GPU, the smallest that will do; none where it does not fit.
        A slot without a GPU is preferred where none is asked for. `taken` are the ids of the slots in use."""
        if not set(needs.labels) <= set(self.labels):
            return ()
        in_use = set(taken)
        free = [slot for slot in self.slots if slot.id not in in_use]
        if needs.gpus:
            fit = [slot for slot in free if slot.kind == "gpu" and slot.gpu_memory_free_gib >= needs.gpu_memory_gib]
            fit.sort(key=lambda slot: slot.gpu_memory_gib)
            return tuple(fit[: needs.gpus]) if len(fit) >= needs.gpus else ()
        return next(((slot,) for slot in free if slot.kind != "gpu"), tuple(free[:1]))

    def occupied(self, jobs: Mapping[str, str]) -> tuple[Slot, ...]:
        """The slots as a beat tells them; `jobs` is slot id → job."""
        return tuple(
            slot if jobs.get(slot.id) == slot.job else slot.model_copy(update={"job": jobs.get(slot.id)})
            for slot in self.slots
        )


def cpu_slots(count: int, labels: tuple[str, ...] = ()) -> Slots:
    """So many slots on the processor alone."""
    return Slots(tuple(Slot(id=f"cpu-{number}") for number in range(count)), labels)


def machine_slots(cpus: int, gpus: tuple[Gpu, ...], labels: tuple[str, ...] = ()) -> Slots:
    """So many slots on the processor alone, and one for each GPU."""
    on_gpus = tuple(
        Slot(id=f"gpu-{number}", kind="gpu", gpu_memory_gib=gpu.memory_gib, gpu_memory_free_gib=gpu.free_gib)
        for number, gpu in enumerate(gpus)
    )
    devices = {slot.id: gpu.uuid for slot, gpu in zip(on_gpus, gpus, strict=True)}
    return Slots(cpu_slots(cpus).slots + on_gpus, labels, devices)
