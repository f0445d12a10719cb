"""The images that this agent pulled: kept up to a size, the one that was not used for longest goes first.

Images that were on the machine before, or got there by others' hands, are never touched; nor is one that a container
is made of, whoever's that is. What was pulled is written down before it is pulled, so that an agent that dies meanwhile
leaves nothing that nobody knows of. Everything blocks.
"""

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from studio9_common.errors import BadInput
from studio9_common.logs import logger
from studio9_task.clock import now
from studio9_task.outputs import write_bytes
from studio9_worker.runners.engine import PINNED, Engine, Image
from studio9_worker.runners.port import ImageMissing, Login, RunnerError


@dataclass(slots=True)
class Pulled:
    """An image by its registry's digest. `used` is when a task last asked for it; `size` is bytes, and `id` the
    engine's, both empty until it is there. One that needed credentials is `private`: it is for those who have some."""

    used: str
    private: bool
    size: int = 0
    id: str = ""


class ImageStore:
    """See the module's docstring. `file` holds what was pulled, `limit` is bytes."""

    def __init__(self, engine: Engine, file: Path, limit: int) -> None:
        self._engine = engine
        self._file = file
        self._limit = limit
        self._lock = threading.RLock()
        self._held: dict[str, str] = {}
        self._log = logger("worker")
        self._pulled = _read(file)

    def bring(self, holder: str, reference: str, login: Login | None = None) -> Image:
        """An image by digest or id, pulled where it is not here and has a digest; it stays until `release`.

        Raises ImageMissing and EngineAway.
        """
        if PINNED.fullmatch(reference) is None:
            raise ImageMissing(f"{reference!r} names no fixed image: give name@sha256:…, or sha256:… of a local one.")
        with self._lock:
            self._held[holder] = reference
        try:
            found = self._engine.local_image(reference)
        except ImageMissing:
            if "@" not in reference:
                raise
            return self._pull(reference, login)
        self._check(reference, found, login)
        self._touch(reference, found)
        return found

    def release(self, holder: str) -> None:
        """Its image may be removed as any other."""
        with self._lock:
            self._held.pop(holder, None)

    def _pull(self, reference: str, login: Login | None) -> Image:
        with self._lock:
            self._pulled[reference] = Pulled(now(), private=login is not None)
            self._write()
        try:
            self._engine.pull(reference, login)
            found = self._engine.local_image(reference)
        except RunnerError:
            with self._lock:
                self._pulled.pop(reference, None)
                self._write()
            raise
        self._touch(reference, found)
        self._log.info("image_pulled", image=reference, size=found.size)
        self.shrink()
        return found

    def _check(self, reference: str, found: Image, login: Login | None) -> None:
        """Somebody's credentials may have brought it here: whoever asks next must have some that open it, too."""
        with self._lock:
            private = any(one.private and found.id == one.id for one in self._pulled.values())
        if not private:
            return
        if login is None or "@" not in reference:
            raise ImageMissing(
                f"The image {reference} is private: name it by digest, with credentials of its registry."
            )
        self._engine.check_login(reference, login)

    def shrink(self) -> None:
        """Removes what was not used for longest until the rest fits; what is held or in use stays."""
        with self._lock:
            for reference in sorted(self._pulled, key=lambda one: self._pulled[one].used):
                if sum(one.size for one in self._pulled.values()) <= self._limit:
                    return
                if reference not in self._held.values() and self._engine.remove_image(reference):
                    del self._pulled[reference]
                    self._write()
                    self._log.info("image_removed", image=reference)

    def _touch(self, reference: str, found: Image) -> None:
        with self._lock:
            if (known := self._pulled.get(reference)) is not None:
                known.used, known.size, known.id = now(), found.size, found.id
                self._write()

    def _write(self) -> None:
        content = {reference: asdict(one) for reference, one in self._pulled.items()}
        write_bytes(self._file, json.dumps(content).encode())


def _read(file: Path) -> dict[str, Pulled]:
    try:
        return {reference: Pulled(**one) for reference, one in json.loads(file.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        raise BadInput(f"{file.name} is damaged: what it named is not removed any more.", fix="delete it") from None
