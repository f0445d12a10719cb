"""Carries out transfers from and to users' buckets: chunk by chunk, resumable, and again if one is cut off.

Each chunk ends with one transaction that writes what came in and how far the transfer has come. Whatever its end, the
album or dataset can be used again with what is in it, and the credentials are forgotten.
"""

from datetime import timedelta

from studio9_baile.core import Core
from studio9_baile.database import DatabaseUnavailable
from studio9_baile.jobs.endings import close, released
from studio9_baile.jobs.moving import LEASE_S, Done, Step, export_files, import_files, import_pictures
from studio9_baile.jobs.videos import import_video
from studio9_baile.models.jobs import (
    EXPORT_FILES,
    IMPORT_FILES,
    IMPORT_PICTURES,
    IMPORT_VIDEO,
    Process,
    ProcessStatus,
    ResultState,
)
from studio9_baile.models.stored import FileSetStatus
from studio9_baile.repositories.system import Scope
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.buckets import forget_secret
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.quotas import QuotaReached
from studio9_common.errors import BadInput, NotFound, Studio9Error
from studio9_common.logs import logger

PAUSES_S = (1.0, 5.0, 20.0)
"""Before each further try; then the transfer has failed."""
STEPS: dict[str, Step] = {
    IMPORT_PICTURES: import_pictures, IMPORT_VIDEO: import_video, IMPORT_FILES: import_files,
    EXPORT_FILES: export_files,
}  # fmt: skip


class Transferrer:
    """The step of the transfers' loop."""

    def __init__(self, core: Core, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._core, self._pauses_s = core, pauses_s
        self._log = logger("baile")

    async def step(self) -> bool:
        """Carries out one transfer; whether there may be more. Raises DatabaseUnavailable."""
        async with self._core.database.system() as system:
            scope = await system.claim_transfer(timedelta(seconds=LEASE_S))
        if scope is None:
            return False
        try:
            while await self._chunk(scope):
                pass
        except DatabaseUnavailable:
            raise
        except Exception as error:
            self._log.warning("transfer_failed", job=scope.id, error=type(error).__name__)
            await self._failed_once(scope, error)
        return True

    async def _chunk(self, scope: Scope) -> bool:
        """Whether there is more to do."""
        async with self._core.database.write(scope.organisation) as work:
            process = await work.processes.get(scope.id, lock=True)
            if process.result_state is not ResultState.pending:
                return False
            if process.started_at is None:
                process.status, process.started_at = ProcessStatus.RUNNING, work.now
            process.fill_after = work.now + timedelta(seconds=LEASE_S)
            cancelled = process.cancel_requested_at is not None
        if cancelled:
            await self._end(scope, ProcessStatus.CANCELLED)
            return False
        place = process.context["place"]
        done = await STEPS[process.kind](self._core, process)
        if done is Done.all:
            await self._end(scope, ProcessStatus.COMPLETED)
        elif done is Done.handed_over:
            await forget_secret(self._core, scope.organisation, place)
        return done is Done.some

    async def _failed_once(self, scope: Scope, error: Exception) -> None:
        """What the user must mend is not tried again."""
        final = isinstance(error, BadInput | NotFound | QuotaReached)
        async with self._core.database.write(scope.organisation) as work:
            process = await work.processes.get(scope.id, lock=True)
            tries, process.fill_failures = process.fill_failures, process.fill_failures + 1
            if tries < len(self._pauses_s) and not final:
                process.fill_after = work.now + timedelta(seconds=self._pauses_s[tries])
                return
        cause = error.message if isinstance(error, Studio9Error) else "internal error; try again"
        await self._end(scope, ProcessStatus.FAILED, f"Error reading file from S3. {cause}")

    async def _end(self, scope: Scope, status: ProcessStatus, cause: str | None = None) -> None:
        async with self._core.database.write(scope.organisation) as work:
            process = await work.processes.get(scope.id, lock=True)
            if process.result_state is not ResultState.pending:
                return
            place = process.context["place"]
            process.context = {**process.context, "place": {}}
            close(work, process, status, cause)
            await _release(work, process)
        await forget_secret(self._core, scope.organisation, place)


async def _release(work: Work, process: Process) -> None:
    if process.target == Kind.ALBUM:
        await released(work, process)
        return
    row = await work.file_sets.find(process.target_id, lock=True)
    if row is not None:
        row.status = FileSetStatus.IDLE
        changed(work, Kind.DATASET, row.id, "updated", status=row.status)
