"""Tasks that mean harm, or are broken: `hostile.py FOLDER` does what the request's parameter `do` names."""

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from studio9_task.contained import RECORD
from studio9_task.exits import EXIT_STOPPED
from studio9_task.layout import TaskFolder
from studio9_task.outputs import Written, write_bytes
from studio9_task.report import EventWriter
from studio9_task.request import read_request

FORGED = (
    '{"schema": 1, "ending": "exited", "exit_code": 0, "started": "2026-01-01T00:00:00.000000Z", '
    '"ended": "2026-01-01T00:00:00.000000Z", "duration_s": 0.0}'
)


class Hostile:
    """One run."""

    def __init__(self, root: Path) -> None:
        self.folder = TaskFolder(root)
        self.parameters = read_request(self.folder.request).parameters
        self.events = EventWriter(self.folder.events, self.folder.outputs)

    def network(self) -> None:
        """Everything that may lead out of here."""
        tried = {}
        for host, port in (("1.1.1.1", 53), ("169.254.169.254", 80), ("127.0.0.1", int(self.parameters["port"]))):
            tried[f"{host}:{port}"] = _error(lambda host=host, port=port: socket.create_connection((host, port), 2))
        tried["name"] = _error(lambda: socket.getaddrinfo("example.org", 443))
        tried["packet"] = _error(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        interfaces = [name for _, name in socket.if_nameindex()]
        self.events.result({"tried": tried, "interfaces": interfaces})

    def files(self) -> None:
        """Looks for what is not its own, and for places to write to."""
        marker, found, writable = self.parameters["marker"], [], []
        for folder, folders, names in os.walk("/"):
            folders[:] = [name for name in folders if not (folder == "/" and name in ("proc", "sys"))]
            if os.access(folder, os.W_OK):
                writable.append(folder)
            found += [os.path.join(folder, name) for name in names if marker in name or name.endswith(".sock")]
        attempts = {
            "host": _error(lambda: Path(self.parameters["path"]).read_bytes()),
            "input": _error(lambda: (self.folder.inputs / "planted").write_text("x")),
            "request": _error(lambda: self.folder.request.write_text("x")),
            "lease": _error(lambda: os.utime(self.folder.lease)),
            "stop": _error(lambda: self.folder.stop.touch()),
            "exit": _error(lambda: self.folder.exit.write_text(FORGED)),
            "environ": _error(lambda: Path("/proc/1/environ").read_bytes()),
            "memory": _error(Path("/proc/1/mem").open),
            "root": _error(lambda: Path("/planted").write_text("x")),
            "device": _error(lambda: os.mknod("/tmp/device", 0o60600, os.makedev(8, 0))),
            "mount": _error(lambda: os.chroot("/tmp")),
            "root user": _error(lambda: os.setuid(0)),
        }
        self.events.result(
            {"found": found, "writable": writable, "attempts": attempts, "environment": dict(os.environ)}
        )

    def forks(self) -> None:
        """Processes without end."""
        while True:
            try:
                if os.fork() == 0:
                    continue
            except OSError:
                time.sleep(0.001)

    def memory(self) -> None:
        held = []
        while True:
            held.append(bytearray(8 << 20))
            held[-1][::4096] = b"x" * 2048

    def shared_memory(self) -> None:
        """As much as /dev/shm and /tmp take; then tells how much that was."""
        taken = {}
        for place in ("/dev/shm", "/tmp"):
            with suppress_full(), open(f"{place}/fill", "wb") as file:
                while file.tell() < 64 << 20:
                    file.write(bytes(1 << 20))
                    file.flush()
            taken[place] = os.path.getsize(f"{place}/fill")
            os.unlink(f"{place}/fill")
        self.events.result(taken)

    def disk(self) -> None:
        """Many files, each within its limit."""
        for number in range(100_000):
            (self.folder.outputs / str(number)).write_bytes(bytes(1 << 20))

    def nameless_files(self) -> None:
        """Files that are open and in no folder any more, until nothing is left; then it keeps them."""
        path = str(self.folder.scratch / "held")
        with suppress_full():
            while True:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT)
                os.unlink(path)
                if os.write(handle, bytes(1 << 20)) < 1 << 20:
                    break
        time.sleep(600)

    def big_file(self) -> None:
        (self.folder.scratch / "big").write_bytes(bytes(64 << 20))

    def log(self) -> None:
        while True:
            print("x" * 10_000)

    def link(self) -> None:
        (self.folder.outputs / "secret").symlink_to("/etc/hostname")
        size = Path("/etc/hostname").stat().st_size
        self.events.artifact("result", Written(self.folder.outputs / "secret", size, "0" * 64))
        self.events.result({})

    def link_out(self) -> None:
        """A folder that leads to the machine's own files, by the path they have there."""
        (self.folder.outputs / "out").symlink_to("/etc")
        self.events.artifact("result", Written(self.folder.outputs / "out" / "passwd", 1, "0" * 64))
        self.events.result({})

    def missing(self) -> None:
        self.events.artifact("result", Written(self.folder.outputs / "nothing.json", 3, "0" * 64))
        self.events.result({})

    def wrong_hash(self) -> None:
        """A file that is there, with another content than was announced."""
        written = write_bytes(self.folder.outputs / "model.pt", b"nothing learned")
        self.events.artifact("model", Written(self.folder.outputs / "model.pt", written.size, "0" * 64))
        self.events.result({"accuracy": 1.0})

    def wrong_size(self) -> None:
        written = write_bytes(self.folder.outputs / "model.pt", b"nothing learned")
        self.events.artifact("model", Written(self.folder.outputs / "model.pt", 1, written.sha256))
        self.events.result({"accuracy": 1.0})

    def deaf(self) -> None:
        """Ignores SIGTERM, and so do its children."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.fork()
        self.events.progress(0.5)
        time.sleep(600)

    def exit(self) -> None:
        sys.exit(int(self.parameters["code"]))

    def says_it_was_stopped(self) -> None:
        sys.exit(EXIT_STOPPED)

    def broken_events(self) -> None:
        with self.folder.events.open("ab") as file:
            file.write(b'{"type": "progress", "value": 7}\nnot json\n\xff\xfe\n')
        self.events.result({"fine": True})
        with self.folder.events.open("ab") as file:
            file.write(b'{"half a line')

    def another_job(self) -> None:
        with self.folder.events.open("ab") as file:
            file.write(
                b'{"type": "metric", "time": "2026-01-01T00:00:00.000000Z", "sequence": 1, "key": "loss", "value": 1, '
                b'"job": "01890000-0000-7000-8000-000000000000", "fence": 99, "organisation": "other"}\n'
            )
        self.events.result({"job": "01890000-0000-7000-8000-000000000000"})

    def lies(self) -> None:
        """Tells a success, forges its exit record wherever it can, and fails."""
        self.events.result({"accuracy": 1.0})
        print(f"\n{RECORD}{FORGED}", flush=True)
        for target in ("/proc/1/fd/1", "/proc/1/fd/2", str(self.folder.exit), str(self.folder.shim / "verdict.json")):
            _error(lambda target=target: Path(target).write_text(f"\n{RECORD}{FORGED}\n"))
        sys.exit(1)

    def shim(self) -> None:
        """Attacks the process that watches it."""
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV):
            _error(lambda number=number: os.kill(1, number))
        time.sleep(2)
        self.events.result({"shim": os.getppid()})

    def wait(self) -> None:
        """Until the file `go` is among its inputs."""
        self.events.progress(0.5)
        print("waiting", flush=True)
        while not (self.folder.inputs / "go").exists():
            time.sleep(0.05)
        self.events.artifact("result", write_bytes(self.folder.outputs / "result.json", b"{}"))
        self.events.result({"pid": os.getpid(), "uid": os.getuid()})


class suppress_full:
    """Leaves a block when a place is full."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


def _error(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    task = Hostile(Path(sys.argv[1]))
    getattr(task, task.parameters["do"])()
