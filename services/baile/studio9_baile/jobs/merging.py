"""Carries out merges of albums: chunk by chunk, resumable, and again if one is cut off.

Each chunk is one transaction that writes copies of pictures and how far the merge has come. Whatever its end, the album
is the user's own and becomes active with the pictures that are in it.
"""

from datetime import timedelta

from studio9_baile.core import Core
from studio9_baile.jobs.endings import close
from studio9_baile.jobs.telling import tell
from studio9_baile.models.jobs import Process, ProcessStatus, ResultState
from studio9_baile.models.pictures import Album, AlbumStatus, Picture
from studio9_baile.repositories.system import Scope
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.copying import copy_some
from studio9_common.errors import Unavailable
from studio9_common.logs import logger

CHUNK = 100
"""Pictures of one transaction."""
LEASE_S = 30.0
"""How long a merge belongs to the instance that works on it; each chunk renews it."""
PAUSES_S = (1.0, 5.0, 30.0, 120.0)
"""Before each further try; then the merge has failed."""


class Merger:
    """The step of the merges' loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._log = logger("baile")

    async def step(self) -> bool:
        """Carries out one merge; whether there may be more. Raises Unavailable."""
        async with self._core.database.system() as system:
            scope = await system.claim_result(timedelta(seconds=LEASE_S), merges=True)
        if scope is None:
            return False
        try:
            while await self._chunk(scope):
                pass
        except Unavailable:
            raise
        except Exception as error:
            self._log.warning("merge_failed", job=scope.id, exc_info=error)
            await self._failed_once(scope)
        return True

    async def _chunk(self, scope: Scope) -> bool:
        """Whether there is more to do."""
        async with self._core.database.write(scope.organisation) as work:
            process = await work.processes.get(scope.id, lock=True)
            if process.result_state is not ResultState.pending:
                return False
            album = await work.albums.find(process.target_id, lock=True)
            if album is None or process.cancel_requested_at is not None:
                _end(work, process, album, ProcessStatus.CANCELLED)
                return False
            if process.started_at is None:
                total = [await work.pictures.count(Picture.album == one) for one in process.context["sources"]]
                process.status, process.started_at = ProcessStatus.RUNNING, work.now
                process.cursor = {"source": 0, "after": "", "seen": 0, "total": sum(total)}
            return await _go_on(work, process, album)

    async def _failed_once(self, scope: Scope) -> None:
        async with self._core.database.write(scope.organisation) as work:
            process = await work.processes.get(scope.id, lock=True)
            tries, process.fill_failures = process.fill_failures, process.fill_failures + 1
            if tries < len(PAUSES_S):
                process.fill_after = work.now + timedelta(seconds=PAUSES_S[tries])
                return
            album = await work.albums.find(process.target_id, lock=True)
            cause = "Pictures could not be copied; delete the album and merge again"
            _end(work, process, album, ProcessStatus.FAILED, cause)


async def _go_on(work: Work, process: Process, album: Album) -> bool:
    cursor = dict(process.cursor or {})
    sources: list[str] = process.context["sources"]
    if cursor["source"] == len(sources):
        _end(work, process, album, ProcessStatus.COMPLETED)
        return False
    source = await work.albums.find(sources[cursor["source"]])
    if source is None:
        cause = f"Album {sources[cursor['source']]} was deleted while it was merged; merge the others again"
        _end(work, process, album, ProcessStatus.FAILED, cause)
        return False
    pictures = await work.pictures.of_album(source.id, cursor["after"], CHUNK)
    if pictures:
        await copy_some(work, source, album, pictures, only_labelled=process.context["only_labelled"])
        cursor |= {"after": pictures[-1].id, "seen": cursor["seen"] + len(pictures)}
        _tell_progress(work, process, cursor["seen"], cursor["total"])
    else:
        cursor |= {"source": cursor["source"] + 1, "after": ""}
    process.cursor = cursor
    process.fill_after = work.now + timedelta(seconds=LEASE_S)
    return True


def _tell_progress(work: Work, process: Process, seen: int, total: int) -> None:
    assert process.started_at is not None
    process.progress = min(0.99, seen / max(seen, total))
    elapsed = (work.now - process.started_at).total_seconds()
    process.remaining_s = elapsed / seen * max(0, total - seen)
    tell(work, process)


def _end(work: Work, process: Process, album: Album | None, status: ProcessStatus, cause: str | None = None) -> None:
    close(work, process, status, cause)
    if album is not None and album.status is AlbumStatus.UPLOADING:
        album.status = AlbumStatus.ACTIVE
        changed(work, Kind.ALBUM, album.id, "updated", status=album.status)
