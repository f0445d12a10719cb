"""How each kind of fault of the plan begins and is repaired."""

import asyncio
import signal
from collections.abc import Sequence

from studio9_cli.chaos.plan import BUSIEST, LINKS, ORIONS, SERVERS, WORKERS, Fault
from studio9_cli.chaos.platform import Platform
from studio9_cli.chaos.servers import Restartable, Server
from studio9_cli.chaos.services import task_processes

WAIT_TRIES, WAIT_S = 20, 0.25
TOXIC = frozenset({"slow", "narrow", "hang", "cut"})


class Faults:
    """Begins and repairs. A target that another fault has already taken away is left to that one."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._held: dict[Fault, tuple[str, ...]] = {}

    async def begin(self, fault: Fault) -> bool:
        """Breaks it; False if another fault has the target."""
        names = await self._names(fault)
        if any(set(names) & set(others) for others in self._held.values()):
            return False
        self._held[fault] = names
        platform = self._platform
        match fault.kind:
            case "delete_queues":
                await platform.delete_queues()
            case "kill_tasks":
                await asyncio.to_thread(self._kill_tasks, names)
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
                    await asyncio.to_thread(self._kill_tasks, names)
        return True

    async def repair(self, fault: Fault) -> None:
        """As before. A server is back when it takes connections, a service when its process has been started."""
        platform, names = self._platform, self._held[fault]
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
        del self._held[fault]

    def _kill_tasks(self, workers: Sequence[str]) -> None:
        for worker in workers:
            self._platform.services.kill_tasks(worker)

    def _processes(self, names: Sequence[str]) -> list[Restartable]:
        platform = self._platform
        return [platform.server(name) if name in SERVERS else platform.services.instances[name] for name in names]

    async def _names(self, fault: Fault) -> tuple[str, ...]:
        """The instances, servers or links that a fault takes."""
        match fault.target:
            case "orions":
                return ORIONS
            case "workers":
                return WORKERS
            case target if target == BUSIEST:
                return (await self._busiest(),)
            case target if target.startswith("all:"):
                return tuple(":".join(link) for link in LINKS if link[1] == target.partition(":")[2])
        return (fault.target,)

    async def _busiest(self) -> str:
        """The worker with most processes of tasks; waits a little for one that has any."""
        for _ in range(WAIT_TRIES):
            counts = await asyncio.to_thread(self._tasks)
            if any(counts.values()):
                break
            await asyncio.sleep(WAIT_S)
        return max(counts, key=lambda worker: counts[worker])

    def _tasks(self) -> dict[str, int]:
        services = self._platform.services
        return {worker: len([*task_processes(services.jobs_folder(worker))]) for worker in WORKERS}
