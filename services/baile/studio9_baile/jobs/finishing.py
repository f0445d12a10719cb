"""Brings results of ended jobs into the assets: one at a time, resumable, and again if it is cut off."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from studio9_baile.core import Core
from studio9_baile.jobs.augmented import augmented_list
from studio9_baile.jobs.endings import (
    STATUSES,
    augmented,
    close,
    failed,
    filmed,
    framed,
    predicted,
    streamed,
    trained,
    tuned,
)
from studio9_baile.jobs.filling import Superseded, Target, fill
from studio9_baile.jobs.framed import FRAMES
from studio9_baile.jobs.listed import fill_listed
from studio9_baile.jobs.news import ENDED, Ended
from studio9_baile.jobs.results import BadResult, Result, fetch, output, prediction_index, read_manifest, read_result
from studio9_baile.jobs.tiled import TILES, tiled, write_tiles
from studio9_baile.models.jobs import Process, ProcessStatus, ResultState
from studio9_baile.repositories.system import Scope
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.augmenting import PICTURES
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.datasets import NewVersion
from studio9_baile.usecases.result_videos import album_video, keep_video
from studio9_common.contracts.job import Job, ObjectRef, State
from studio9_common.contracts.predictions import AttemptManifest
from studio9_common.errors import Unavailable
from studio9_common.logs import logger
from studio9_task.results import AugmentResult, FramesResult, TileResult, TrainResult, TuneResult, VideoResult
from studio9_task.videos import ARTIFACT as VIDEO

LEASE_S = 30.0
"""How long a result belongs to the instance that works on it; each chunk renews it."""
NO_ALBUM = ""
TRIES = 5
PAUSES_S = (1.0, 5.0, 30.0, 120.0)


class Finisher:
    """The step of the results' loop."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._log = logger("baile")

    async def step(self) -> bool:
        """Brings one result in; whether there may be more. Raises Unavailable while a store is away."""
        async with self._core.database.system() as system:
            scope = await system.claim_result(timedelta(seconds=LEASE_S))
        if scope is None:
            return False
        try:
            await self._finish(scope)
        except Superseded:
            pass
        except Unavailable:
            await self._put_off(scope, 0.0)
            raise
        except Exception as error:
            self._log.warning("result_not_brought_in", job=scope.id, exc_info=error)
            await self._failed_once(scope, error)
        return True

    async def _finish(self, scope: Scope) -> None:
        async with self._core.database.read(scope.organisation) as work:
            process = await work.processes.get(scope.id)
        ended = ENDED.validate_python(process.ended)
        if ended.state is not State.completed:
            await self._close(scope, STATUSES[ended.state], _cause(ended))
            return
        manifest = await read_manifest(self._core, scope.organisation, ended.manifest)
        result = await read_result(self._core, manifest)
        tiles: NewVersion | None = None
        if isinstance(result, AugmentResult):
            album = process.context["outputs"][PICTURES]
            await fill_listed(self._core, scope, manifest, LEASE_S, augmented_list("manifest"), album)
        elif isinstance(result, FramesResult):
            await fill_listed(self._core, scope, manifest, LEASE_S, FRAMES, process.target_id)
        elif isinstance(result, VideoResult):
            await keep_video(self._core, scope.organisation, output(manifest, VIDEO))
        elif isinstance(result, TileResult):
            await fill_listed(self._core, scope, manifest, LEASE_S, TILES, NO_ALBUM)
            tiles = await write_tiles(self._core, scope, process, manifest)
        elif not isinstance(result, TuneResult):
            await self._fill(scope, process, manifest)
            if sample := process.context.get("sample"):
                await fill_listed(self._core, scope, manifest, LEASE_S, augmented_list("augmented"), sample)
        makes_model = isinstance(result, TrainResult | TuneResult)
        artifact = await self._weights(process, manifest) if makes_model else None
        async with self._core.database.write(scope.organisation) as work:
            process = await work.processes.get(scope.id, lock=True)
            if process.result_state is not ResultState.pending:
                return
            if tiles is not None:
                await tiled(self._core, work, process, tiles)
            else:
                await self._apply(work, process, ended, result, artifact, manifest)
            close(work, process, ProcessStatus.COMPLETED)
        await self._clean(scope.id)

    async def _apply(
        self,
        work: Work,
        process: Process,
        ended: Ended,
        result: Result,
        artifact: ObjectRef | None,
        manifest: AttemptManifest,
    ) -> None:
        if process.target == Kind.ONLINE_JOB:
            await streamed(work, process)
        elif process.target == Kind.ONLINE_API:
            return  # whoever waits for the call reads its result
        elif isinstance(result, AugmentResult):
            await augmented(work, process, ended, result)
        elif isinstance(result, FramesResult):
            await framed(work, process, result)
        elif isinstance(result, TuneResult):
            assert artifact is not None
            await tuned(self._core, work, process, result, artifact)
        elif isinstance(result, VideoResult):
            await filmed(work, process, album_video(self._core, process, output(manifest, VIDEO)))
        elif isinstance(result, TrainResult):
            if artifact is None:
                raise BadResult("the training left no model")
            await trained(self._core, work, process, ended, result, artifact)
        else:
            assert not isinstance(result, TileResult)
            file = output(manifest, "predictions")
            found = ObjectRef(key=file.key, sha256=file.sha256, size=file.size)
            await predicted(self._core, work, process, ended, result, found)

    async def _fill(self, scope: Scope, process: Process, manifest: AttemptManifest) -> None:
        """Fills each output album with the pictures of its input."""
        predictions = output(manifest, "predictions")
        path = await fetch(
            self._core, scope.organisation, predictions.key, predictions.sha256, f"{scope.id}.predictions.jsonl"
        )
        version, stream = await self._origin(scope, process)
        inputs = await self._inputs(scope, process)
        with ExitStack() as stack:
            index = await asyncio.to_thread(stack.enter_context, prediction_index(path))
            for name, album in process.context["outputs"].items():
                target = Target(name, album, inputs[name], version, stream)
                await fill(self._core, scope.organisation, scope.id, target, index, LEASE_S)

    async def _origin(self, scope: Scope, process: Process) -> tuple[str, str]:
        """The model version that predicted, and the stream or job for which it did."""
        if process.target != Kind.ONLINE_JOB:
            return process.context["model_version"], scope.id
        provenance = (await self._job(scope)).spec.provenance
        return provenance.model_version or "", provenance.stream or process.target_id

    async def _inputs(self, scope: Scope, process: Process) -> Mapping[str, Path]:
        """Local copies of the manifests that the job worked on, by input."""
        refs: dict[str, ObjectRef] = {}
        if process.target == Kind.ONLINE_JOB:
            inputs = (await self._job(scope)).spec.inputs
            refs = {one.name: one.ref for one in inputs if one.kind == "pictures" and one.ref is not None}
        else:
            async with self._core.database.read(scope.organisation) as work:
                known = await work.manifests.of(process.context["dataset_version"])
            refs = {name: ObjectRef(key=row.key, sha256=row.sha256, size=row.size) for name, row in known.items()}
        missing = set(process.context["outputs"]) - set(refs)
        if missing:
            raise BadResult(f"the job has no input named {', '.join(sorted(missing))}")
        return {
            name: await fetch(self._core, scope.organisation, ref.key, ref.sha256, f"{scope.id}.{name}.jsonl")
            for name, ref in refs.items()
        }

    async def _job(self, scope: Scope) -> Job:
        """The document of a job that somebody else asked for. Raises BadResult, Unavailable."""
        found = (await self._core.aries.get_jobs([scope.id], organisation=scope.organisation))[0]
        if found is None:
            raise BadResult("the job's document is not there (any more)")
        return found[0]

    async def _weights(self, process: Process, manifest: AttemptManifest) -> ObjectRef:
        """The model's weights under the version's own key: what a job stored goes with the job one day."""
        file = output(manifest, "model")
        key = f"{process.organisation}/models/{process.context['model_version']}/model.pt"
        stream = await self._core.objects.stream(file.key)
        await self._core.objects.put(key, stream, content_type=file.media_type, sha256=file.sha256)
        return ObjectRef(key=key, sha256=file.sha256, size=file.size)

    async def _close(self, scope: Scope, status: ProcessStatus, cause: str | None) -> None:
        async with self._core.database.write(scope.organisation) as work:
            process = await work.processes.get(scope.id, lock=True)
            if process.result_state is ResultState.pending:
                await failed(work, process, cancelled=status is ProcessStatus.CANCELLED)
                close(work, process, status, cause)
        await self._clean(scope.id)

    async def _failed_once(self, scope: Scope, error: Exception) -> None:
        async with self._core.database.write(scope.organisation) as work:
            process = await work.processes.get(scope.id, lock=True)
            process.fill_failures += 1
            tries = process.fill_failures
            pause = PAUSES_S[min(tries, len(PAUSES_S)) - 1]
            process.fill_after = work.now + timedelta(seconds=pause)
        if tries >= TRIES or isinstance(error, BadResult):
            detail = error.message if isinstance(error, BadResult) else "internal"
            await self._close(scope, ProcessStatus.FAILED, f"Error handling job result: {detail}")

    async def _put_off(self, scope: Scope, seconds: float) -> None:
        async with self._core.database.write(scope.organisation) as work:
            process = await work.processes.get(scope.id, lock=True)
            process.fill_after = work.now + timedelta(seconds=seconds)

    async def _clean(self, job: str) -> None:
        await asyncio.to_thread(_remove, self._core.settings.work_dir / "results", job)


def _remove(folder: Path, job: str) -> None:
    for path in folder.glob(f"{job}.*"):
        path.unlink(missing_ok=True)


def _cause(ended: Ended) -> str | None:
    if ended.reason is None:
        return None
    return f"[{ended.reason.code}]: {ended.reason.message}"
