"""What Orion needs of a place where jobs run; every adapter passes the contract suite of providers.

The core knows nothing of providers: an attempt carries its provider's name, and commands go to that provider.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from studio9_common.contracts.job import Command, Job, Requirements, Spec
from studio9_common.errors import Studio9Error


class ProviderUnknown(Studio9Error):
    """No installed package offers this provider; install it, or correct the compute profile."""

    status = 400
    code = "provider_unknown"


@dataclass(frozen=True, slots=True)
class Order:
    """A `worker.run` or `worker.cancel` of a job's outbox. (job, n) and the fence make handling idempotent."""

    job: Job
    command: Command


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would cost, and when it could begin. `price` is per hour, None where nothing is charged; `start_s`
    is None where nobody can tell."""

    price: float | None
    start_s: float | None
    possible: bool = True
    why: str = ""


@dataclass(frozen=True, slots=True)
class AttemptStatus:
    """What the provider knows of an attempt. `gone`: nothing of it is there (any more)."""

    job: str
    fence: int
    state: Literal["unknown", "running", "gone"]


@dataclass(frozen=True, slots=True)
class Place:
    """Slots of one kind on one worker; a job takes one for each of its GPUs. Memory is GiB.

    `gpu_memory_gib` is what the largest of its GPUs has. `slots_gib` tells it of each slot and `free_gib` what is
    really free on each free one, the most first; empty: `gpu_memory_gib` everywhere. `isolated`: runs containers.
    """

    worker: str
    kind: Literal["cpu", "gpu"] = "cpu"
    total: int = 1
    free: int = 1
    gpu_memory_gib: float = 0.0
    labels: frozenset[str] = frozenset()
    isolated: bool = False
    provider: str = "workers"
    slots_gib: tuple[float, ...] = ()
    free_gib: tuple[float, ...] = ()

    @property
    def memory(self) -> tuple[float, ...]:
        """What the GPU of each slot has, the most first."""
        return self.slots_gib or (self.gpu_memory_gib,) * self.total

    @property
    def free_memory(self) -> tuple[float, ...]:
        """What is really free on the GPU of each free slot, the most first."""
        return self.free_gib or (self.gpu_memory_gib,) * self.free


def fits(needs: Requirements, untrusted: bool, place: Place) -> bool:
    """Whether a job could run there if all slots were free. A job without a GPU may use a slot that has one; one
    that is untrusted needs containers."""
    if not set(needs.labels) <= place.labels or (untrusted and not place.isolated):
        return False
    if needs.gpus:
        memory = place.memory
        return place.kind == "gpu" and len(memory) >= needs.gpus and memory[needs.gpus - 1] >= needs.gpu_memory_gib
    return place.total > 0


def fits_now(needs: Requirements, untrusted: bool, place: Place) -> bool:
    """Whether a job could begin there at once."""
    free = place.free_memory
    count = max(needs.gpus, 1)
    return (
        fits(needs, untrusted, place)
        and len(free) >= count
        and (not needs.gpus or free[count - 1] >= needs.gpu_memory_gib)
    )


class Provider(Protocol):
    """See the module's docstring."""

    @property
    def name(self) -> str: ...

    async def validate(self) -> None:
        """Raises if the credentials do not work, naming what to correct."""
        ...

    async def estimate(self, spec: Spec) -> Estimate: ...

    async def submit(self, orders: Sequence[Order]) -> list[Studio9Error | None]:
        """Begins attempts; idempotent by job and fence. One entry per order: None once it is durable there,
        Unroutable if the worker is gone, Unavailable if nobody knows."""
        ...

    async def cancel(self, orders: Sequence[Order]) -> list[Studio9Error | None]:
        """Stops attempts; harmless where there is none."""
        ...

    async def status(self, attempts: Sequence[tuple[str, int]]) -> list[AttemptStatus]:
        """Of (job, fence), in order."""
        ...

    async def capacity(self) -> list[Place]:
        """What is there and what is free, as far as the provider knows."""
        ...
