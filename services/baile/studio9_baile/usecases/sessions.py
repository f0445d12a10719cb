"""Training sessions: a training's job with what it measured, logged and left."""

from collections.abc import Sequence
from dataclasses import dataclass

from studio9_baile.core import Caller, Core
from studio9_baile.jobs.results import read_manifest
from studio9_baile.models.jobs import Process
from studio9_baile.repositories.base import Slice
from studio9_baile.usecases import jobs
from studio9_baile.usecases.jobs import JobMissing, KnownJob
from studio9_common.contracts.messages import TelemetryItem
from studio9_common.contracts.predictions import ManifestFile

MOST_LOGS = 1_000
LINK_S = 3_600


@dataclass(frozen=True, slots=True)
class Session:
    """A training. `logs` are its last lines, `artifacts` what it left, each with a URL for LINK_S seconds."""

    known: KnownJob
    metrics: Sequence[TelemetryItem]
    logs: Sequence[TelemetryItem]
    artifacts: Sequence[tuple[ManifestFile, str]]


async def get_session(core: Core, caller: Caller, identifier: str) -> Session:
    """A training that the caller may see. Raises JobMissing, Unavailable."""
    known = await jobs.get_job(core, caller, identifier)
    if known.process.kind != "train":
        raise JobMissing
    metrics, logs = await jobs.get_measured(core, known.process, MOST_LOGS)
    return Session(known, metrics, logs, await _artifacts(core, caller, known))


async def list_sessions(core: Core, caller: Caller, wanted: Slice) -> Sequence[Process]:
    """The caller's trainings, newest first."""
    async with core.database.read(caller.organisation) as work:
        row = work.processes.row
        return await work.processes.recent(wanted, row.owner == caller.user, row.kind == "train")


async def _artifacts(core: Core, caller: Caller, known: KnownJob) -> list[tuple[ManifestFile, str]]:
    ended = known.ended
    if ended is None or ended.manifest is None:
        return []
    manifest = await read_manifest(core, caller.organisation, ended.manifest)
    # The manifest is a worker's word: only what lies in the organisation's own place is signed.
    mine = [file for file in manifest.files if file.key.startswith(f"{caller.organisation}/")]
    return [(file, await core.objects.signed_url(file.key, expires_s=LINK_S)) for file in mine]
