"""One task's process from start to exit record. Standard library only."""

import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from studio9_task.cgroups import cgroup_oom, cgroup_peak, forks_refused
from studio9_task.clock import elapsed, now
from studio9_task.descendants import adopt_orphans, descendants, die_with, kill, private_memory
from studio9_task.shim_files import CappedLog, LeaseWatch, told_grace, write_exit

REAP_S = 5.0
"""How long to wait for killed processes to be gone."""
FORKS_REFUSED = 100
"""A task that was refused so many processes forks without end."""


@dataclass(frozen=True)
class Limits:
    """What a task may use; none: no limit. Durations count through a suspended machine."""

    time_limit_s: float | None = None
    disconnect_grace_s: float | None = None
    stop_grace_s: float = 20.0
    memory_bytes: int | None = None
    address_space_bytes: int | None = None
    file_bytes: int | None = None
    log_bytes: int = 16 * 1024 * 1024
    flood_bytes: int | None = None
    nice: int = 0
    poll_s: float = 0.5


class ShimTask:
    """Starts one command, watches it, ends it, writes down how it ended."""

    def __init__(self, shim: Path, command: Sequence[str], limits: Limits, cgroup: str | None = None) -> None:
        self._shim = shim
        self._command = command
        self._limits = limits
        self._cgroup = cgroup
        self._log = CappedLog(shim / "task.log", limits.log_bytes)
        self._lease = LeaseWatch(shim / "lease", limits.disconnect_grace_s)
        self._ending, self._detail = "exited", ""
        self._task = 0
        self._status: int | None = None
        self._peak = 0
        self._kill_at: float | None = None
        self._told_to_stop = False
        self._started, self._began = now(), elapsed()

    def run(self) -> None:
        """From start to record; returns when nothing of the task is left."""
        wake = self._listen()
        adopt_orphans()
        try:
            if self._stop_wanted():
                self._ending, self._detail = "stopped", "told to stop before it began"
            else:
                self._start()
                self._watch(wake)
        except (OSError, subprocess.SubprocessError) as error:
            self._ending, self._detail = "start_failed", f"{self._command[0]}: {error}"
        finally:
            self._end_all()
            self._log.close()
            self._tell(self._record())

    def _tell(self, record: Mapping[str, object]) -> None:
        """Write down how it ended."""
        write_exit(self._shim / "exit.json", record)

    def _listen(self) -> int:
        """A pipe that becomes readable when a child ends or this process is told to stop."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_signal)
        return reading

    def _stop_signal(self, *_: object) -> None:
        self._told_to_stop = True

    def _stop_wanted(self) -> bool:
        return self._told_to_stop or (self._shim / "stop").exists()

    def _start(self) -> None:
        bind = die_with(os.getpid())
        rlimits = [
            (what, limit)
            for what, limit in (
                (resource.RLIMIT_CORE, 0),
                (resource.RLIMIT_FSIZE, self._limits.file_bytes),
                (resource.RLIMIT_AS, self._limits.address_space_bytes),
            )
            if limit is not None
        ]
        nice = self._limits.nice

        def prepare() -> None:
            bind()
            for what, limit in rlimits:
                resource.setrlimit(what, (limit, limit))
            if nice:
                os.nice(nice)

        process = subprocess.Popen(
            self._command,
            cwd=self._shim.parent,
            stdin=subprocess.DEVNULL,
            stdout=self._log.pipe,
            stderr=self._log.pipe,
            start_new_session=True,
            # Safe: no other thread runs yet, and the function makes system calls only.
            preexec_fn=prepare,
        )
        process.returncode = 0  # it is reaped here, with the orphans
        self._task = process.pid
        self._log.start()

    def _watch(self, wake: int) -> None:
        while True:
            select.select([wake], [], [], self._limits.poll_s)
            with suppress(BlockingIOError):
                os.read(wake, 4096)
            self._reap()
            if self._ended:
                return
            alive = descendants(os.getpid())
            self._peak = max(self._peak, private_memory(alive))
            if self._kill_at is None:
                self._judge()
            elif elapsed() >= self._kill_at:
                kill(alive, signal.SIGKILL)

    def _judge(self) -> None:
        """End the task if it has to be."""
        limits = self._limits
        if limits.memory_bytes is not None and self._peak > limits.memory_bytes:
            self._kill("memory_limit", f"it held {self._peak} bytes; {limits.memory_bytes} are allowed")
            return
        if limits.flood_bytes is not None and self._log.written > limits.flood_bytes:
            self._kill("log_flood", f"it wrote {self._log.written} bytes; {limits.flood_bytes} are allowed")
            return
        if (refused := forks_refused(self._cgroup)) >= FORKS_REFUSED:
            self._kill("process_limit", f"it was refused {refused} processes")
            return
        if self._stop_wanted():
            self._ending = "stopped"
        elif limits.time_limit_s is not None and elapsed() - self._began >= limits.time_limit_s:
            self._ending = "time_limit"
        elif self._lease.expired():
            self._ending = "lease_expired"
        else:
            return
        grace = limits.stop_grace_s
        if self._ending == "stopped":
            grace = told_grace(self._shim / "stop", grace)
        self._kill_at = elapsed() + grace
        with suppress(ProcessLookupError):
            os.killpg(self._task, signal.SIGTERM)

    def _kill(self, ending: str, detail: str) -> None:
        """End it at once, for something that no grace mends."""
        self._ending, self._detail = ending, detail
        kill(descendants(os.getpid()), signal.SIGKILL)
        self._kill_at = elapsed()

    @property
    def _ended(self) -> bool:
        return self._status is not None

    def _reap(self) -> bool:
        """Collect what has ended; whether some children are left."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if process == 0:
                return True
            if process == self._task:
                self._status = status

    def _end_all(self) -> None:
        """Nothing that the task started may outlive it."""
        deadline = elapsed() + REAP_S
        while self._reap() and elapsed() < deadline:
            kill(descendants(os.getpid()), signal.SIGKILL)
            time.sleep(0.01)

    def _record(self) -> dict[str, object]:
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        number = -code if code is not None and code < 0 else None
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        # A group of its own knows; without one, who else would have killed it?
        killed_by_others = self._cgroup is None and self._ending == "exited" and number == signal.SIGKILL
        return {
            "schema": 1,
            "ending": self._ending,
            "exit_code": None if number is not None else code,
            "signal": number,
            "started": self._started,
            "ended": now(),
            "duration_s": round(elapsed() - self._began, 3),
            "peak_rss_bytes": cgroup_peak(self._cgroup) or max(self._peak, largest),
            "out_of_memory": self._ending == "memory_limit" or killed_by_others or cgroup_oom(self._cgroup),
            "forks_refused": forks_refused(self._cgroup),
            "log_bytes": self._log.written,
            "log_truncated": self._log.truncated,
            "detail": self._detail,
        }
