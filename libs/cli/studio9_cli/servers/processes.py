"""Starts child processes so that none outlives this program: own process group, log file, watchdog."""

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studio9_cli.servers import watchdog

# Below the range from which the kernel takes ports for outgoing connections.
PORTS = range(20_100, 32_000)
LOG_LINES = 15


class ProcessEnded(Exception):
    """A process ended, or did not answer in time, while it was waited for; the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class User:
    """Who a process runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Process:
    """A started process, leader of its own group."""

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path
    stop_signal: int

    def tail(self) -> str:
        """The last lines of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-LOG_LINES:])

    def wait_until(self, ready: Callable[[], bool], within_s: float) -> None:
        """Polls `ready` until it is true. Raises `ProcessEnded` when the process ends first, or after `within_s`."""
        deadline = time.monotonic() + within_s
        while not ready():
            if self.popen.poll() is not None:
                raise ProcessEnded(f"{self.name} ended with status {self.popen.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ProcessEnded(f"{self.name} was not ready after {within_s:.0f} s:\n{self.tail()}")
            time.sleep(0.05)


class Processes:
    """Keeps the processes of one run. `close` ends them all; the watchdog does if this program cannot."""

    def __init__(self) -> None:
        self._running: dict[int, Process] = {}
        self._ports: set[int] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__], stdin=subprocess.PIPE, start_new_session=True, text=True
        )

    def remove_at_end(self, folder: Path) -> None:
        """The watchdog removes this folder once every process has ended."""
        with self._lock:
            self._tell(f"folder {folder}")

    def spawn(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str],
        folder: Path,
        user: User | None = None,
        stop_signal: int = signal.SIGTERM,
    ) -> Process:
        """Starts a process in `folder` with exactly this environment (and PATH, HOME, LANG), as `user` if given.

        Raises `ProcessEnded` when the program is not there, or this keeper is closed.
        """
        base = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8"}
        with self._lock, log.open("ab") as output:
            if self._closed:
                raise ProcessEnded(f"{name} was not started: the run is ending")
            try:
                popen = subprocess.Popen(
                    [str(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    env={**base, **environment},
                    start_new_session=True,
                    user=user.uid if user else None,
                    group=user.gid if user else None,
                    extra_groups=[] if user else None,
                )
            except OSError as error:
                raise ProcessEnded(f"{name} cannot be run ({command[0]}): {error.strerror}") from None
            process = Process(name, popen, log, stop_signal)
            self._running[popen.pid] = process
            self._tell(f"group {popen.pid} {int(stop_signal)}")
        return process

    def run(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        within_s: float,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        user: User | None = None,
    ) -> None:
        """Runs a helper to its end. Raises `ProcessEnded` with the end of its output when it fails or takes longer."""
        with tempfile.TemporaryDirectory(prefix="studio9-log-") as scratch:
            log = Path(scratch, "log")
            self.remove_at_end(Path(scratch))
            process = self.spawn(name, command, log=log, environment=environment or {}, folder=folder, user=user)
            try:
                process.popen.wait(within_s)
            except subprocess.TimeoutExpired:
                raise ProcessEnded(f"{name} took longer than {within_s:.0f} s:\n{process.tail()}") from None
            finally:
                self.stop(process)
            if process.popen.returncode:
                raise ProcessEnded(f"{name} ended with status {process.popen.returncode}:\n{process.tail()}")

    def stop(self, *processes: Process) -> None:
        """Ends these processes with all their children: each one's signal, then SIGKILL after a grace."""
        reapers = [threading.Thread(target=process.popen.wait, daemon=True) for process in processes]
        for reaper in reapers:
            reaper.start()
        watchdog.end({process.popen.pid: process.stop_signal for process in processes})
        for process, reaper in zip(processes, reapers, strict=True):
            reaper.join()
            with self._lock:
                self._running.pop(process.popen.pid, None)
                self._tell(f"gone {process.popen.pid}")

    def close(self) -> None:
        """Ends every process, then the watchdog, which removes the folders. Nothing can be started afterwards."""
        with self._lock:
            self._closed = True
        self.stop(*reversed(list(self._running.values())))
        if self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
        self._watchdog.wait()

    def free_port(self) -> int:
        """A loopback port that nothing listens on, given out once."""
        with self._lock:
            while True:
                port = random.choice(PORTS)
                if port not in self._ports and not listening(port):
                    self._ports.add(port)
                    return port

    def _tell(self, line: str) -> None:
        pipe = self._watchdog.stdin
        if pipe is not None and not pipe.closed:
            pipe.write(line + "\n")
            pipe.flush()


def listening(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
