"""The worker's metrics: its slots, the attempts that are here, its machine and GPUs as its beats tell them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

from studio9_common.metrics import Metrics, Sample
from studio9_worker.agent import Agent
from studio9_worker.machine import usage

_GPU = re.compile(r"gpu_(\d+)_(\w+)")
_UNITS = "memory GiB, temperature °C, power W, use and load as shares and cores"


def measure_worker(metrics: Metrics, agent: Callable[[], Agent | None]) -> None:
    """Read at every scrape; nothing before the worker has started."""

    def slots() -> Iterable[Sample]:
        running = agent()
        if running is None:
            return []
        shown = running.slots.occupied(running.occupied())
        counts = Counter((slot.kind, "busy" if slot.job else "free") for slot in shown)
        return list(counts.items())

    def attempts() -> Iterable[Sample]:
        running = agent()
        counts = Counter(life.record.phase for life in running.lives) if running else Counter[str]()
        return [((phase,), count) for phase, count in counts.items()]

    def draining() -> Iterable[Sample]:
        running = agent()
        return [] if running is None else [((), float(running.draining))]

    def machine(*, gpus: bool) -> Iterable[Sample]:
        running = agent()
        told = {} if running is None else {**usage(), **running.machine}
        found: list[Sample] = []
        for name, value in told.items():
            gpu = _GPU.fullmatch(name)
            if gpus and gpu:
                found.append(((gpu[1], gpu[2]), value))
            elif not gpus and not gpu:
                found.append(((name,), value))
        return found

    metrics.read_gauge("studio9_worker_machine", f"The machine: {_UNITS}.", ("measure",), lambda: machine(gpus=False))
    metrics.read_gauge(
        "studio9_worker_gpu",
        f"Each GPU, numbered as its slot: {_UNITS}.",
        ("gpu", "measure"),
        lambda: machine(gpus=True),
    )
    metrics.read_gauge("studio9_worker_slots", "Slots of this worker.", ("kind", "use"), slots)
    metrics.read_gauge(
        "studio9_worker_attempts", "Attempts by phase; ended: the result waits to be confirmed.", ("phase",), attempts
    )
    metrics.read_gauge("studio9_worker_draining", "Whether it takes no new job.", (), draining)
