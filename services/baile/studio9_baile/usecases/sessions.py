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
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile

TRAIN = "train"
MOST_LOGS = 1_000
LINK_S = 3_600


@dataclass(frozen=True, slots=True)
class Session:
    """A training. `logs` are its last lines, `artifacts` what it left, each with a URL for LINK_S seconds; `commit` and
    `image_digest` are what ran it, where it has ended."""

    known: KnownJob
    metrics: Sequence[TelemetryItem]
    logs: Sequence[TelemetryItem]
    artifacts: Sequence[tuple[ManifestFile, str]]
    commit: str | None = None
    image_digest: str | None = None


async def get_session(core: Core, caller: Caller, identifier: str, kind: str = TRAIN) -> Session:
    """A training, or another kind of job, that the caller may see. Raises JobMissing, Unavailable."""
    known = await jobs.get_job(core, caller, identifier)
    if known.process.kind != kind:
        raise JobMissing
    metrics, logs = await jobs.get_measured(core, known.process, MOST_LOGS)
    manifest = await _manifest(core, caller, known)
    if manifest is None:
        return Session(known, metrics, logs, [])
    artifacts = await _artifacts(core, caller, manifest)
    return Session(known, metrics, logs, artifacts, manifest.commit, manifest.image_digest)


async def list_sessions(core: Core, caller: Caller, wanted: Slice, kind: str = TRAIN) -> Sequence[Process]:
    """The caller's trainings, or jobs of another kind, newest first."""
    async with core.database.read(caller.organisation) as work:
        row = work.processes.row
        return await work.processes.recent(wanted, row.owner == caller.user, row.kind == kind)


async def _manifest(core: Core, caller: Caller, known: KnownJob) -> AttemptManifest | None:
    ended = known.ended
    if ended is None or ended.manifest is None:
        return None
    return await read_manifest(core, caller.organisation, ended.manifest)


async def _artifacts(core: Core, caller: Caller, manifest: AttemptManifest) -> list[tuple[ManifestFile, str]]:
    # The manifest is a worker's word: only what lies in the organisation's own place is signed.
    mine = [file for file in manifest.files if file.key.startswith(f"{caller.organisation}/")]
    return [(file, await core.objects.signed_url(file.key, expires_s=LINK_S)) for file in mine]
