"""How a fault begins and ends."""

from typing import TYPE_CHECKING

from studio9_cli.simulation.plan import ORIONS, WORKERS, Fault

if TYPE_CHECKING:
    from studio9_cli.simulation.world import World

WINDOWS = {
    "duplicates": "duplicates", "reordering": "reordering", "delays": "delays",
    "loss_before_confirm": "loss_before_confirm", "confirm_lost": "confirm_lost", "reply_lost": "reply_lost",
    "objects_reply_lost": "objects_reply_lost", "partial_failures": "partial_failures", "conflicts": "conflicts",
    "slow_store": "slow_s",
}  # fmt: skip
"""Faults that are a number of the weather for a while."""


def begin(world: "World", fault: Fault) -> None:
    """Breaks what the fault breaks."""
    world.note(f"fault {fault.kind} {fault.target}")
    weather, target = world.weather, fault.target
    match fault.kind:
        case "crash_orion" | "crash_agent":
            for name in _names(target):
                world.processes[name].crash()
        case "crash_machine":
            world.processes[target].crash()
            world.workers[target].machine.crash()
        case "kill_task":
            world.workers[target].machine.crash()
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
            for name in list(world.broker.lines):
                world.broker.delete(name)
        case "search_lag":
            weather.search_lag_s = fault.amount
        case "clock_skew":
            world.processes[target].clock.skew_s = fault.amount
        case "disk_full":
            weather.full_disks.add(target)
        case kind:
            setattr(weather, WINDOWS[kind], fault.amount)


def end(world: "World", fault: Fault) -> None:
    """Repairs what the fault broke."""
    world.note(f"healed {fault.kind} {fault.target}")
    weather, target = world.weather, fault.target
    match fault.kind:
        case "crash_orion" | "crash_agent" | "crash_machine":
            for name in _names(target):
                world.processes[name].start()
        case "pause_orion" | "pause_worker":
            for name in _names(target):
                world.processes[name].resume()
        case "cut":
            node, _, part = target.partition(":")
            weather.cut.discard((node, part))
        case "outage" if target == "orions":
            for name in ORIONS:
                world.processes[name].start()
        case "outage" if target in WORKERS:
            weather.cut -= {(target, "bus"), (target, "objects")}
        case "outage":
            weather.down.discard(target)
        case "broker_restart":
            weather.down.discard("bus")
        case "search_lag":
            weather.search_lag_s = 1.0
        case "clock_skew":
            world.processes[target].clock.skew_s = 0.0
        case "disk_full":
            weather.full_disks.discard(target)
        case "delete_queues" | "kill_task":
            pass
        case kind:
            setattr(weather, WINDOWS[kind], 0.0)


def _outage(world: "World", target: str) -> None:
    if target == "orions":
        for name in ORIONS:
            world.processes[name].crash()
    elif target in WORKERS:
        world.weather.cut |= {(target, "bus"), (target, "objects")}
        world.broker.cut_consumers(target)
    else:
        world.weather.down.add(target)
        if target == "bus":
            world.broker.restart()


def _names(target: str) -> tuple[str, ...]:
    return ORIONS if target == "orions" else (target,)
