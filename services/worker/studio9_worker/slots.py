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
    """Slot id → the GPU's id, of every GPU that was seen."""

    def measured(self, gpus: tuple[Gpu, ...]) -> "Slots":
        """One slot for each GPU that answers now, with the memory that is free now.

        A GPU keeps its slot's id for good: one that is gone has no slot until it is there again,
        and one that was added gets a number of its own.
        """
        slot_of = {uuid: slot for slot, uuid in self.devices.items()}
        for gpu in gpus:
            slot_of.setdefault(gpu.uuid, f"gpu-{len(slot_of)}")
        cards = tuple(
            Slot(id=slot_of[gpu.uuid], kind="gpu", gpu_memory_gib=gpu.memory_gib, gpu_memory_free_gib=gpu.free_gib)
            for gpu in gpus
        )
        on_cpu = tuple(slot for slot in self.slots if slot.kind != "gpu")
        return replace(self, slots=on_cpu + cards, devices={slot: uuid for uuid, slot in slot_of.items()})

    def fitting(self, needs: Requirements, taken: Iterable[str]) -> tuple[Slot, ...]:
        """Free slots for these requirements, one for each GPU, the smallest that will do; none where it does not fit.
        A slot without a GPU is preferred where none is asked for. `taken` are the ids of the slots in use."""
        if not set(needs.labels) <= set(self.labels):
            return ()
        in_use = set(taken)
        free = (slot for slot in self.slots if slot.id not in in_use)
        if needs.gpus:
            fit = [slot for slot in free if slot.kind == "gpu" and slot.gpu_memory_free_gib >= needs.gpu_memory_gib]
            fit.sort(key=lambda slot: slot.gpu_memory_gib)
            return tuple(fit[: needs.gpus]) if len(fit) >= needs.gpus else ()
        gpus: list[Slot] = []
        for slot in free:
            if slot.kind != "gpu":
                return (slot,)
            gpus.append(slot)
        return tuple(gpus[:1])

    def occupied(self, jobs: Mapping[str, str]) -> tuple[Slot, ...]:
        """The slots as a beat tells them; `jobs` is slot id → job."""
        return tuple(
            slot if jobs.get(slot.id) == slot.job else slot.model_copy(update={"job": jobs.get(slot.id)})
            for slot in self.slots
        )


def cpu_slots(count: int, labels: tuple[str, ...] = ()) -> Slots:
    """So many slots on the processor alone."""
    return Slots(tuple(Slot(id=f"cpu-{number}") for number in range(count)), labels)


def machine_slots(
    cpus: int, gpus: tuple[Gpu, ...], labels: tuple[str, ...] = (), known: Mapping[str, str] | None = None
) -> Slots:
    """So many slots on the processor alone, and one for each GPU; `known` are the devices of an earlier agent, whose
    tasks may still run on them."""
    return replace(cpu_slots(cpus, labels), devices=known or {}).measured(gpus)
