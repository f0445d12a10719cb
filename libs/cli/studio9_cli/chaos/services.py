"""The services under test: Aries, two Orions and three workers, each a process of its own with its own broker user."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from studio9_cli.chaos.pace import Pace
from studio9_cli.chaos.plan import SERVICES
from studio9_cli.chaos.servers import Restartable
from studio9_cli.project import commit
from studio9_cli.servers.instances import is_ready, service_of
from studio9_cli.servers.processes import Process, Processes

PROGRAM = Path(__file__).with_name("task_program.py")
READY_S = 180.0


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where each service finds what: addresses by instance, a proxy's or the server's own."""

    installation: str
    folder: Path
    token_keys: str
    broker: Mapping[str, str]
    store: str
    aries: Mapping[str, str]
    ports: Mapping[str, int]

    @property
    def effects(self) -> Path:
        """What tasks did, a JSON object a line."""
        return self.folder / "effects.jsonl"

    @property
    def objects(self) -> Path:
        """The object storage: a folder that all share."""
        return self.folder / "objects"


@dataclass(slots=True)
class Services:
    """Starts, kills and freezes the instances of SERVICES."""

    processes: Processes
    wiring: Wiring
    pace: Pace
    instances: dict[str, Restartable] = field(default_factory=dict)

    def begin(self, *names: str) -> None:
        """Starts instances that are not running, without waiting."""
        for name in names or SERVICES:
            folder = self.wiring.folder / name
            folder.mkdir(exist_ok=True)
            instance = self.instances.setdefault(name, Restartable(name, self.processes))
            instance.process = self._spawn(name, folder)

    def _spawn(self, name: str, folder: Path) -> Process:
        command = [sys.executable, "-m", f"studio9_{service_of(name)}"]
        log = self.wiring.folder / f"{name}.log"
        return self.processes.spawn(name, command, log=log, environment=self._environment(name), folder=folder)

    async def ready(self, *names: str) -> None:
        """Until each says that it and what it depends on are ready. Raises ProcessEnded."""
        for name in names or SERVICES:
            process = self.instances[name].process
            if process is not None:
                await asyncio.to_thread(process.wait_until, partial(is_ready, self.address(name)), READY_S)

    def address(self, name: str) -> str:
        return f"http://127.0.0.1:{self.wiring.ports[name]}"

    def jobs_folder(self, worker: str) -> Path:
        """Where a worker keeps its attempts."""
        return self.wiring.folder / worker / "jobs"

    def kill_tasks(self, worker: str) -> int:
        """SIGKILL for every task of a worker with its shim, as a machine's end would; how many processes."""
        killed = 0
        for pid in task_processes(self.jobs_folder(worker)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        return killed

    def _environment(self, name: str) -> dict[str, str]:
        wiring, service = self.wiring, service_of(name)
        values: dict[str, object] = {
            "STUDIO9_INSTALLATION": wiring.installation,
            "STUDIO9_STATE_DIR": wiring.folder / name,
            "STUDIO9_COMMIT": commit(),
            "STUDIO9_PORT": wiring.ports[name],
            "STUDIO9_TOKEN_KEYS": wiring.token_keys,
        }
        given: Mapping[str, object] = {}
        if service == "aries":
            values["STUDIO9_ARIES_DOCUMENTS_URL"] = wiring.store
        else:
            values["STUDIO9_BUS_URL"] = wiring.broker[name]
            values["STUDIO9_OBJECTS_URL"] = f"file://{wiring.objects}"
        if service == "orion":
            values["STUDIO9_ARIES_URL"] = wiring.aries[name]
            given = {"name": name, **self.pace.orion}
        if service == "worker":
            task = shlex.join((sys.executable, "-I", "-S", str(PROGRAM), str(wiring.effects)))
            given = {"worker_id": name, "task_command": task, **self.pace.worker}
        values |= {f"STUDIO9_{service.upper()}_{key.upper()}": value for key, value in given.items()}
        return {key: str(value) for key, value in values.items()}


def task_processes(folder: Path) -> Iterator[int]:
    """The processes whose command line names something in this folder: tasks and their shims. Zombies have none."""
    wanted = f"{folder}/".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if wanted in path.read_bytes():
                yield int(path.parent.name)
