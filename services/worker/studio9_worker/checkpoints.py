"""Checkpoints leave the worker while the task goes on, so that its loss costs little."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import PurePosixPath

from studio9_common.contracts.checkpoints import checkpoint_key
from studio9_common.contracts.job import ObjectRef
from studio9_common.errors import Studio9Error
from studio9_common.objects.port import ChecksumMismatch
from studio9_task.errors import UnsafeName
from studio9_task.events import Checkpoint
from studio9_task.layout import TaskFolder
from studio9_worker.context import Context
from studio9_worker.lease import AttemptKey
from studio9_worker.outputs import put_output
from studio9_worker.transfer import patiently


class CheckpointKeeper:
    """Uploads the newest announced checkpoint, one at a time, and says so through `on_new`.

    `current` is the one that beats and the result announce. An older one is deleted once Orion has heard of a newer.
    """

    def __init__(
        self,
        context: Context,
        key: AttemptKey,
        folder: TaskFolder,
        prefix: str,
        current: ObjectRef | None,
        on_new: Callable[[ObjectRef], Awaitable[None]],
    ) -> None:
        self.current = current
        self._context = context
        self._key = key
        self._folder = folder
        self._prefix = prefix
        self._on_new = on_new
        self._stored: list[ObjectRef] = [current] if current else []
        self._told: dict[ObjectRef, int] = {}
        """Each with the first beat that told of it."""
        self._unneeded: list[ObjectRef] = []
        self._wanted: Checkpoint | None = None
        self._wake = asyncio.Event()

    def want(self, checkpoint: Checkpoint | None) -> None:
        """Asks for the newest; one that is uploaded or asked for already changes nothing."""
        if checkpoint is not None and checkpoint != self._wanted:
            self._wanted = checkpoint
            self._wake.set()

    def announced(self, beat: int) -> None:
        """The current one goes out with this beat."""
        if self.current is not None and self.current not in self._told:
            self._told[self.current] = beat

    def heard(self, beat: int) -> None:
        """Orion has answered this beat: nobody needs what is older than the checkpoint that it told of."""
        known = [place for place, one in enumerate(self._stored) if self._told.get(one, beat + 1) <= beat]
        if known and known[-1] > 0:
            self._unneeded += self._stored[: known[-1]]
            self._stored = self._stored[known[-1] :]
            self._wake.set()

    async def run(self) -> None:
        """Uploads while the task runs; ended by cancelling."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.upload_wanted(self._context.settings.upload_patience_s)
            while self._unneeded:
                with suppress(Studio9Error):  # what stays goes with the attempt's prefix
                    await self._context.objects.delete(self._unneeded.pop().key)

    async def upload_wanted(self, patience_s: float) -> None:
        """Uploads the newest if it is not there yet; what cannot be uploaded is logged, the next one may."""
        wanted = self._wanted
        if wanted is None or (self.current is not None and self.current.sha256 == wanted.sha256):
            return
        suffix = PurePosixPath(wanted.path).suffix
        key = checkpoint_key(self._prefix, epoch=wanted.epoch, step=wanted.step, sha256=wanted.sha256, suffix=suffix)
        try:
            await patiently(lambda: self._put(wanted, key), patience_s)
        except (ChecksumMismatch, FileNotFoundError):
            return  # the task has replaced it already and will announce the new one
        except (Studio9Error, UnsafeName, OSError) as error:
            self._context.log.warning("checkpoint_not_uploaded", job=self._key.job, reason=str(error))
            return
        self.current = ObjectRef(key=key, sha256=wanted.sha256, size=wanted.size)
        self._stored.append(self.current)
        await self._on_new(self.current)

    async def _put(self, wanted: Checkpoint, key: str) -> None:
        await put_output(
            self._context.objects,
            self._folder.outputs,
            wanted.path,
            key,
            wanted.sha256,
            "application/octet-stream",
        )
