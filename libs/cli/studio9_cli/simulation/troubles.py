"""What may be blamed on the faults: which worker could not be heard when, and when the ground itself was shaky."""

from studio9_cli.simulation.plan import ORIONS, WORKERS, Fault

RECOVERY_S = 45.0
"""After a fault of the ground everything may take a moment to find its way back (back-off, reconnecting)."""
JUMP_LEASES = 0.75
"""Until its next sweep nobody knows that an Orion's clock has jumped: what is lost in between is heard again."""
OF_OTHERS = frozenset({"crash_client", "gpu_taken"})
"""Faults that nothing of Orion's can be blamed on."""
OF_WORKERS = frozenset({"crash_agent", "crash_machine", "pause_worker", "kill_task"})
DEAFENING = frozenset({"delays", "loss_before_confirm"})
"""Windows in which beats of any worker may be lost."""

Span = tuple[float, float]


class Troubles:
    """Made of a plan's faults; all of it is known beforehand."""

    def __init__(self, faults: tuple[Fault, ...], lease_s: float) -> None:
        self._workers: dict[str, list[Span]] = {name: [] for name in WORKERS}
        self._deaf: list[Span] = []
        self._jumped: list[Span] = []
        self._shaky: list[Span] = []
        self._unsteady: list[Span] = []
        self._emptied = [fault.at for fault in faults if fault.kind == "delete_queues"]
        down: dict[str, list[Span]] = {name: [] for name in ORIONS}
        for fault in faults:
            span = (fault.at, fault.at + fault.lasts)
            name = fault.target.partition(":")[0]
            if name not in WORKERS and fault.kind not in OF_OTHERS:
                self._unsteady.append((span[0], span[1] + RECOVERY_S + lease_s))
            if name in WORKERS and fault.kind not in {"kill_task", "clock_skew"}:
                if not fault.target.endswith((":store", ":objects")):
                    self._workers[name].append(span)
            elif fault.kind == "crash_orion" and name in ORIONS:
                down[name].append(span)
            elif fault.kind == "clock_skew" and name in ORIONS:
                # Deadlines that a wrong clock set stay wrong, and nobody judges silence by clocks that differ.
                self._shaky.append((span[0], span[1] + RECOVERY_S + abs(fault.amount) + lease_s))
                self._jumped += [(at, at + JUMP_LEASES * lease_s) for at in span]
            elif fault.kind not in OF_WORKERS | OF_OTHERS:
                self._shaky.append((span[0], span[1] + RECOVERY_S))
            if fault.kind in DEAFENING:
                self._deaf.append(span)
        first, second = down.values()
        self._shaky += [(max(a, c), min(b, d) + RECOVERY_S) for a, b in first for c, d in second if a < d and c < b]

    def silent(self, worker: str, since: float, now: float, *, sure: bool = False) -> bool:
        """Whether a worker could not be heard at some time since then, or its beats are judged by clocks that have just
        jumped; `sure`: for a reason of its own, or because of a deadline that a wrong clock had set."""
        if any(end >= since for _, end in self._workers[worker] + (self._jumped if sure else self._deaf)):
            return True
        return any(start <= now <= end for start, end in self._jumped)

    def heard_since(self, worker: str, now: float) -> float:
        """Since when a worker can be heard; `now` if it cannot."""
        return max([0.0, *(min(end, now) for start, end in self._workers[worker] if start <= now)])

    def fair_since(self, now: float) -> float:
        """Since when broker, store and an Orion have been there; `now` if they are not."""
        return max([0.0, *(min(end, now) for start, end in self._shaky if start <= now)])

    def steady(self, now: float) -> bool:
        """Whether both Orions, broker and store have been there, undisturbed, for a good while."""
        return not any(start <= now <= end for start, end in self._unsteady)

    def emptied_within(self, start: float, end: float) -> bool:
        """Whether all queues were deleted in a time, and what was in them with them."""
        return any(start <= at <= end for at in self._emptied)

    def emptied(self, since: float) -> bool:
        """Whether all queues were deleted since then, and what was in them with them."""
        return any(at >= since - 5.0 for at in self._emptied)
