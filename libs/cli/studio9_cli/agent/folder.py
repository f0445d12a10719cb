"""The agent's state folder as the command line sees it: what it was started with, and whether it runs."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from studio9_cli.platform.state import write_private
from studio9_common.errors import NotFound

OPTIONS, RUNNING, LOG = "options.json", "running.json", "agent.log"


class NoAgent(NotFound):
    """No worker runs on this state folder; start one with `studio9 worker up`, or name its folder with --state."""


@dataclass(frozen=True, slots=True)
class AgentOptions:
    """What `studio9 worker up` was told and keeps for the next start. `slots`: tasks at once on the processor; None and
    empty: the worker's own default. `resume`: the next start takes jobs again, as `down` had stopped that."""

    slots: int | None = None
    labels: str = ""
    runner: str = ""
    image: str = ""
    mount_trainers: bool = False
    host: str = "127.0.0.1"
    resume: bool = False

    def environment(self) -> dict[str, str]:
        """The same as settings of the worker."""
        found = {
            "STUDIO9_WORKER_CPU_SLOTS": "" if self.slots is None else str(self.slots),
            "STUDIO9_WORKER_LABELS": self.labels,
            "STUDIO9_WORKER_RUNNER": self.runner,
            "STUDIO9_WORKER_TASK_IMAGE": self.image,
            "STUDIO9_WORKER_MOUNT_TRAINERS": "true" if self.mount_trainers else "",
            "STUDIO9_HOST": self.host,
        }
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class RunningAgent:
    """A process and the port of its HTTP API."""

    pid: int
    port: int


class AgentFolder:
    """See the module's docstring."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @property
    def log(self) -> Path:
        """What the agent says."""
        return self.path / LOG

    def options(self) -> AgentOptions:
        """Those of the last start; the defaults before the first."""
        try:
            kept = json.loads((self.path / OPTIONS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return AgentOptions()
        known = AgentOptions.__dataclass_fields__
        return AgentOptions(**{name: value for name, value in kept.items() if name in known})

    def keep(self, options: AgentOptions) -> None:
        """For the next start."""
        write_private(self.path / OPTIONS, json.dumps(asdict(options), indent=1))

    def started(self, running: RunningAgent) -> None:
        """Writes down which process it is."""
        write_private(self.path / RUNNING, json.dumps(asdict(running)))

    def running(self) -> RunningAgent:
        """The agent that runs. Raises NoAgent."""
        try:
            found = RunningAgent(**json.loads((self.path / RUNNING).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise NoAgent(field="state", value=self.path) from None
        if not is_agent(found.pid):
            raise NoAgent(field="state", value=self.path)
        return found

    def forget(self) -> None:
        """It has ended."""
        (self.path / RUNNING).unlink(missing_ok=True)


def is_agent(pid: int) -> bool:
    """Whether this process is a worker's agent, and not another that got its number since."""
    with suppress(OSError):
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        return state != "Z" and b"studio9_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    with suppress(OSError):  # a system without /proc
        os.kill(pid, 0)
        return not Path("/proc/self").exists()
    return False
