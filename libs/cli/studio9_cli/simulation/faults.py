"""How a fault begins and ends, and whether it met anybody."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from studio9_cli.simulation.plan import HOUR_S, ORIONS, WORKERS, Fault

if TYPE_CHECKING:
    from studio9_cli.simulation.world import World

WINDOWS = {
    "duplicates": "duplicates", "reordering": "reordering", "delays": "delays",
    "loss_before_confirm": "loss_before_confirm", "confirm_lost": "confirm_lost", "reply_lost": "reply_lost",
    "objects_reply_lost": "objects_reply_lost", "partial_failures": "partial_failures", "conflicts": "conflicts",
    "slow_store": "slow_s",
}  # fmt: skip
"""Faults that are a number of the weather for a while."""
OF_PARTS = frozenset({"outage", "disk_full", "crash_client"})
"""Faults that are told apart by what they meet."""
LEFT_GIB = 2.0
"""What a GPU has free while somebody else uses it."""


def label(fault: Fault) -> str:
    """What reports call a fault: its kind and, where that makes a difference, what it meets."""
    if fault.kind == "outage" and fault.lasts >= HOUR_S:
        return f"hour_without:{fault.target}"
    if fault.kind == "cut":
        return f"cut:{fault.target.partition(':')[2]}"
    if fault.kind == "clock_skew":
        return "clock_skew:worker" if fault.target in WORKERS else "clock_skew:orion"
    if fault.kind == "disk_full" and fault.target in WORKERS:
        return "disk_full:worker"
    return f"{fault.kind}:{fault.target}" if fault.kind in OF_PARTS else fault.kind


class Faults:
    """All faults of a run: `injected` and `took_effect` count them by their label."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._before: dict[int, int] = {}
        self.injected: Counter[str] = Counter()
        self.took_effect: Counter[str] = Counter()

    def begin(self, fault: Fault) -> None:
        """Breaks what the fault breaks."""
        self._world.note(f"fault {fault.kind} {fault.target}")
        self.injected[label(fault)] += 1
        self._before[id(fault)] = self._effects(fault)
        begin(self._world, fault)

    def end(self, fault: Fault) -> None:
        """Repairs what the fault broke."""
        self._world.note(f"healed {fault.kind} {fault.target}")
        end(self._world, fault)
        if self._effects(fault) > self._before.pop(id(fault)):
            self.took_effect[label(fault)] += 1

    def _effects(self, fault: Fault) -> int:
        """A number that grows whenever the fault meets somebody."""
        world, target = self._world, fault.target
        effects = world.weather.effects
        match fault.kind:
            case "cut":
                return effects[f"cut:{target}"]
            case "disk_full":
                return effects[f"disk_full:{target}"]
            case "clock_skew":
                return world.processes[target].clock.misled
            case "broker_restart":
                return effects["connections"]
            case "outage" if target in WORKERS:
                return effects[f"cut:{target}:bus"] + effects[f"cut:{target}:objects"]
            case "outage" if target != "orions":
                return effects[f"down:{target}"]
            case kind:
                return effects[WINDOWS.get(kind, kind)]


def begin(world: "World", fault: Fault) -> None:
    """Breaks what the fault breaks."""
    weather, target = world.weather, fault.target
    match fault.kind:
        case "crash_orion" | "crash_agent" | "crash_client":
            for name in _names(target):
                weather.effects[fault.kind] += world.processes[name].up
                world.processes[name].crash()
        case "crash_machine":
            weather.effects[fault.kind] += world.processes[target].up
            world.processes[target].crash()
            world.workers[target].machine.crash()
        case "kill_task":
            busy = [name for name in (target, *WORKERS) if world.workers[name].machine.running()]
            if busy:  # the target, or one that has a task
                weather.effects[fault.kind] += 1
                world.workers[busy[0]].machine.crash()
        case "pause_orion" | "pause_worker":
            for name in _names(target):
                world.processes[name].pause()
        case "cut":
            node, _, part = target.partition(":")
            weather.cut.add((node, part))
            if part == "bus":
                world.loop.after(fault.lasts * 0.3, world.broker.cut_consumers, node)
        case "outage":
            _outage(world, target)
        case "broker_restart":
            weather.down.add("bus")
            world.broker.restart()
        case "delete_queues":
            weather.effects[fault.kind] += len(world.broker.lines)
            for name in list(world.broker.lines):
                world.broker.delete(name)
        case "search_lag":
            weather.search_lag_s = fault.amount
        case "clock_skew":
            world.processes[target].clock.skew_s = fault.amount
        case "disk_full":
            weather.full_disks.add(target)
        case "gpu_taken":
            weather.effects[fault.kind] += _gpu_free(world, target, LEFT_GIB)
        case kind:
            setattr(weather, WINDOWS[kind], fault.amount)


def end(world: "World", fault: Fault) -> None:
    """Repairs what the fault broke."""
    weather, target = world.weather, fault.target
    match fault.kind:
        case "crash_orion" | "crash_agent" | "crash_machine" | "crash_client":
            for name in _names(target):
                world.processes[name].start()
        case "pause_orion" | "pause_worker":
            for name in _names(target):
                weather.effects[fault.kind] += len(world.processes[name].node.held)
                world.processes[name].resume()
        case "cut":
            node, _, part = target.partition(":")
            weather.cut.discard((node, part))
        case "outage" if target == "orions":
            for name in ORIONS:
                world.processes[name].start()
        case "outage" if target in WORKERS:
            weather.cut -= {(target, "bus"), (target, "objects")}
        case "outage" | "broker_restart":
            part = target or "bus"
            weather.down.discard(part)
            if part == "bus":
                world.broker.come_back()
        case "search_lag":
            weather.search_lag_s = 1.0
        case "clock_skew":
            world.processes[target].clock.skew_s = 0.0
        case "disk_full":
            weather.full_disks.discard(target)
        case "gpu_taken":
            _gpu_free(world, target, None)
        case "delete_queues" | "kill_task":
            pass
        case kind:
            setattr(weather, WINDOWS[kind], 0.0)


def _outage(world: "World", target: str) -> None:
    if target == "orions":
        for name in ORIONS:
            world.weather.effects["outage"] += world.processes[name].up
            world.processes[name].crash()
    elif target in WORKERS:
        world.weather.cut |= {(target, "bus"), (target, "objects")}
        world.broker.cut_consumers(target)
    else:
        world.weather.down.add(target)
        if target == "bus":
            world.broker.restart()


def _gpu_free(world: "World", target: str, gib: float | None) -> bool:
    """Sets what is free on a worker's GPUs (None: all); whether its agent is there to see it."""
    worker = world.workers[target]
    if not worker.up or worker.agent is None:
        return False
    slots = worker.agent.slots
    worker.agent.slots = replace(
        slots,
        slots=tuple(
            slot.model_copy(update={"gpu_memory_free_gib": slot.gpu_memory_gib if gib is None else gib})
            for slot in slots.slots
        ),
    )
    return True


def _names(target: str) -> tuple[str, ...]:
    return ORIONS if target == "orions" else (target,)
