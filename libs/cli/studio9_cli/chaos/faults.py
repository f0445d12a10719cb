"""How each kind of fault of the plan begins and is repaired."""

import signal
from collections.abc import Sequence

from studio9_cli.chaos.plan import LINKS, ORIONS, SERVERS, WORKERS, Fault
from studio9_cli.chaos.platform import Platform
from studio9_cli.chaos.servers import Restartable, Server

TOXIC = frozenset({"slow", "narrow", "hang", "cut"})


class Faults:
    """Begins and repairs. A target that another fault has already taken away is left to that one."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._held: set[str] = set()

    async def begin(self, fault: Fault) -> bool:
        """Breaks it; False if another fault has the target."""
        names = _names(fault)
        if self._held & set(names):
            return False
        self._held |= set(names)
        platform = self._platform
        match fault.kind:
            case "delete_queues":
                await platform.delete_queues()
            case "kill_tasks":
                platform.services.kill_tasks(fault.target)
            case "freeze":
                for one in self._processes(names):
                    one.signal(signal.SIGSTOP)
            case "restart":
                for one in self._processes(names):
                    await one.end()
            case toxic if toxic in TOXIC and platform.proxies is not None:
                for name in names:
                    platform.proxies.add(name, toxic)
            case _:
                for one in self._processes(names):
                    await one.kill()
                if fault.kind == "kill_machine":
                    platform.services.kill_tasks(fault.target)
        return True

    async def repair(self, fault: Fault) -> None:
        """As before. A server is back when it takes connections, a service when its process has been started."""
        platform, names = self._platform, _names(fault)
        match fault.kind:
            case "delete_queues" | "kill_tasks":
                pass
            case "freeze":
                for one in self._processes(names):
                    one.signal(signal.SIGCONT)
            case toxic if toxic in TOXIC and platform.proxies is not None:
                for name in names:
                    platform.proxies.clear(name)
            case _:
                for one in self._processes(names):
                    if isinstance(one, Server):
                        one.begin()
                        await one.ready()
                    else:
                        platform.services.begin(one.name)
        self._held -= set(names)

    def _processes(self, names: Sequence[str]) -> list[Restartable]:
        platform = self._platform
        return [platform.server(name) if name in SERVERS else platform.services.instances[name] for name in names]


def _names(fault: Fault) -> tuple[str, ...]:
    """The instances, servers or links that a fault takes."""
    match fault.target:
        case "orions":
            return ORIONS
        case "workers":
            return WORKERS
        case target if target.startswith("all:"):
            return tuple(":".join(link) for link in LINKS if link[1] == target.partition(":")[2])
    return (fault.target,)
