"""The state folder of `studio9 up`: everything the embedded platform keeps, and the secrets it made for itself.

Secrets are random, made at the first start, and readable by their owner only. One process at a time uses a folder:
a lock file is held while the platform runs, and names the address where it answers.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from studio9_common.errors import Conflict, NotFound
from studio9_common.tokens import TokenKeys


class AlreadyRunning(Conflict):
    """A platform is running on this state folder; stop it first, or give another folder with --state."""


class NotRunning(NotFound):
    """No platform is running on this state folder; start one with `./studio9 up`."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the services share or keep for themselves. Never logged."""

    token_keys: str
    """Service tokens (studio9_common.tokens)."""
    user_keys: str
    """Baile's user tokens, in the same form."""
    fernet_keys: str
    """Argo's encryption of secrets, newest first."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where a running platform answers."""

    pid: int
    baile: str
    operators: str


class StateFolder:
    """See the module's docstring."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def secrets(self) -> Secrets:
        """The folder's secrets; made at the first call."""
        file = self.path / "secrets.json"
        if not file.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            made = Secrets(
                token_keys=TokenKeys.generate(),
                user_keys=TokenKeys.generate(),
                fernet_keys=Fernet.generate_key().decode(),
            )
            write_private(file, json.dumps(asdict(made), indent=1))
        return Secrets(**json.loads(file.read_text()))

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Holds the folder for this process. Raises AlreadyRunning."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise AlreadyRunning(field="state", value=self.path) from None
            # A platform that was killed has left its address behind.
            (self.path / "running.json").unlink(missing_ok=True)
            yield
            (self.path / "running.json").unlink(missing_ok=True)

    def announce(self, running: Running) -> None:
        """Writes where the platform answers; called once it does."""
        write_private(self.path / "running.json", json.dumps(asdict(running)))

    def running(self) -> Running:
        """Where the platform on this folder answers. Raises NotRunning."""
        try:
            found = Running(**json.loads((self.path / "running.json").read_text()))
            with (self.path / "lock").open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            raise NotRunning(field="state", value=self.path) from None
        except BlockingIOError:
            return found
        raise NotRunning(field="state", value=self.path)


def write_private(file: Path, text: str) -> None:
    """Writes a file that only its owner can read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    temporary.rename(file)
