"""After the task's end: its outputs, tables and log are uploaded, then their manifest, then the result is made."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio9_common.contracts.job import ChildRequest, Exit, ObjectRef
from studio9_common.contracts.messages import WorkerResult
from studio9_common.contracts.predictions import AttemptManifest, ManifestFile, PredictionsOutput
from studio9_common.contracts.reasons import Reason, reason
from studio9_common.errors import Studio9Error, Unavailable
from studio9_common.objects.port import ObjectsUnavailable
from studio9_task.errors import ManifestError
from studio9_task.events import Artifact
from studio9_task.exits import TaskState
from studio9_worker.children import asks, requested
from studio9_worker.context import Context
from studio9_worker.endings import Ending
from studio9_worker.logtail import log_tail
from studio9_worker.outputs import BadOutput, take_outputs
from studio9_worker.predictions import Stamp, Table, known_pictures, write_table
from studio9_worker.records import AttemptRecord
from studio9_worker.staging import disk_reason
from studio9_worker.told import Told
from studio9_worker.transfer import patiently

PREDICTIONS = "predictions"
"""The artifact whose lines become the prediction table."""
SUMMARY_BYTES = 32 * 1024
RESULT_BYTES = 60 * 1024
MESSAGE = 2_000
"""Characters of a reason's message; it may name what a user, a task or a bucket has named."""


def attempt_prefix(record: AttemptRecord) -> str:
    """Where an attempt's objects lie."""
    return f"{record.organisation}/jobs/{record.key.job}/{record.key.fence}/"


class Collector:
    """Takes what one attempt leaves. `collect` may be repeated: the same files give the same objects. An object
    storage that is away is waited for `patience_s`."""

    def __init__(self, context: Context, record: AttemptRecord, patience_s: float) -> None:
        self._context = context
        self._patience_s = patience_s
        self._record = record
        self._folder = context.folders.of(record.key)
        self._prefix = attempt_prefix(record)
        self._silent = False
        """Whether there is no log."""

    async def collect(self, state: TaskState, told: Told, ending: Ending, checkpoint: ObjectRef | None) -> WorkerResult:
        """The result to send. A success whose outputs cannot be taken becomes a failure, with the reason."""
        files: list[ManifestFile] = []
        predictions: PredictionsOutput | None = None
        manifest: ObjectRef | None = None
        children: tuple[ChildRequest, ...] = ()
        why = ending.reason
        try:
            if ending.outcome == "succeeded":
                files, predictions = await self._outputs(state, told)
                children = await self._children(told, checkpoint)
            files += await self._log()
            manifest = await self._manifest(files, predictions)
        except (BadOutput, ManifestError) as error:
            why = why or reason("bad_output", str(error))
        except Unavailable as error:
            why = why or reason("upload_error", f"The outputs could not be stored: {error}")
        except OSError as error:
            why = why or disk_reason(error, "upload_error")
        except Studio9Error as error:
            why = why or reason("internal", f"The outputs could not be taken: {error}")
        succeeded = ending.outcome == "succeeded" and why is None
        if ending.outcome == "succeeded" and not succeeded:
            manifest = await self._log_only()
        return await self._result(state, told, ending, why, manifest, checkpoint, children)

    async def _children(self, told: Told, checkpoint: ObjectRef | None) -> tuple[ChildRequest, ...]:
        path = asks(told)
        if path is None:
            return ()
        if told.checkpoint is not None and (checkpoint is None or checkpoint.sha256 != told.checkpoint.sha256):
            raise ObjectsUnavailable("the state from which it goes on is not stored")
        return await patiently(
            lambda: requested(self._record, self._folder.outputs, path, self._context.objects), self._patience_s
        )

    async def _outputs(self, state: TaskState, told: Told) -> tuple[list[ManifestFile], PredictionsOutput | None]:
        context = self._context
        announced = told.artifacts
        settings = context.settings_for(self._record.organisation)
        files = await take_outputs(
            context.objects, settings, self._folder.outputs, self._prefix, announced.values(), self._patience_s
        )
        table = next((one for one in announced.values() if one.name == PREDICTIONS), None)
        if self._record.run.spec.kind != "predict":
            table = None  # of a training's or an evaluation's own check, not for analysts
        return files, None if table is None else await self._predictions(table)

    async def _predictions(self, table: Artifact) -> PredictionsOutput:
        written = await asyncio.to_thread(self._write_table, table)
        parts = []
        for part in written.parts:
            file = ManifestFile(
                name=f"predictions/{part.path.name}",
                key=f"{self._prefix}predictions/{part.path.name}",
                sha256=part.sha256,
                size=part.size,
                media_type="text/csv",
                kind="predictions-part",
                rows=part.rows,
            )
            await self._put(file, part.path)
            parts.append(file)
        await asyncio.to_thread(shutil.rmtree, self._parts, ignore_errors=True)
        return PredictionsOutput(
            rows=written.rows, pictures=written.pictures, pictures_without=written.pictures_without, parts=tuple(parts)
        )

    @property
    def _parts(self) -> Path:
        return self._folder.shim / PREDICTIONS

    def _write_table(self, table: Artifact) -> Table:
        record = self._record
        manifests = {
            one.name: self._folder.manifest(one.name) for one in record.run.spec.inputs if one.kind == "pictures"
        }
        stamp = Stamp(
            organisation=record.organisation,
            key=record.key,
            attempt=record.run.attempt,
            commit=self._context.settings.commit,
            image_digest=record.run.spec.image,
            predicted_at=table.time,
            provenance=record.run.spec.provenance,
        )
        source = self._folder.outputs / table.path
        known = known_pictures(manifests)
        return write_table(source, self._parts, stamp, known, self._context.settings.rows_per_part)

    async def _log(self) -> list[ManifestFile]:
        path = self._folder.log
        there = await self._context.hop.do(path.exists)
        described = await asyncio.to_thread(_describe, path) if there else None
        if described is None:
            self._silent = True
            return []
        size, sha256 = described
        file = ManifestFile(
            name=path.name,
            key=f"{self._prefix}{path.name}",
            sha256=sha256,
            size=size,
            media_type="text/plain",
            kind="log",
        )
        await self._put(file, path)
        return [file]

    async def _log_only(self) -> ObjectRef | None:
        try:
            return await self._manifest(await self._log(), None)
        except (Studio9Error, OSError) as error:
            self._context.log.warning("log_not_uploaded", job=self._record.key.job, reason=str(error))
            return None

    async def _put(self, file: ManifestFile, path: Path) -> None:
        await patiently(
            lambda: self._context.objects.put(file.key, path, content_type=file.media_type, sha256=file.sha256),
            self._patience_s,
        )

    async def _manifest(self, files: list[ManifestFile], predictions: PredictionsOutput | None) -> ObjectRef | None:
        if not files and predictions is None:
            return None
        record = self._record
        manifest = AttemptManifest(
            organisation=record.organisation,
            job=record.key.job,
            attempt=record.run.attempt,
            fence=record.key.fence,
            kind=record.run.spec.kind,
            commit=self._context.settings.commit,
            image_digest=self._record.run.spec.image,
            files=tuple(files),
            predictions=predictions,
        )
        body = manifest.model_dump_json().encode()
        ref = ObjectRef(key=f"{self._prefix}manifest.json", sha256=hashlib.sha256(body).hexdigest(), size=len(body))
        await patiently(
            lambda: self._context.objects.put(ref.key, body, content_type="application/json", sha256=ref.sha256),
            self._patience_s,
        )
        return ref

    async def _result(
        self,
        state: TaskState,
        told: Told,
        ending: Ending,
        why: Reason | None,
        manifest: ObjectRef | None,
        checkpoint: ObjectRef | None,
        children: tuple[ChildRequest, ...],
    ) -> WorkerResult:
        record = self._record
        tail = () if self._silent else await asyncio.to_thread(log_tail, self._folder.log)
        exit = None
        if state.record is not None:
            exit = Exit(
                code=state.record.exit_code,
                signal=state.record.signal,
                peak_memory=state.record.peak_rss_bytes or None,
                log_tail=tail,
            )
        outcome = "failed" if ending.outcome == "succeeded" and why is not None else ending.outcome
        result = WorkerResult(
            worker=self._context.worker,
            job=record.key.job,
            organisation=record.organisation,
            attempt=record.run.attempt,
            fence=record.key.fence,
            outcome=outcome,
            reason=why,
            exit=exit,
            manifest=manifest,
            checkpoint=checkpoint,
            summary=summary_of(told) if outcome == "succeeded" else {},
            children=children if outcome == "succeeded" else (),
        )
        return fitting(result)


def summary_of(told: Told) -> Mapping[str, Any]:
    """The result's summary if a message can carry it; `events` counts the task's warnings, unreadable events, and
    those that say whose they are."""
    counts = {"warnings": told.warnings, "unreadable": told.unreadable}
    counts |= {"claims": told.claims} if told.claims else {}
    summary = {**told.summary(), "events": counts}
    if len(json.dumps(summary, ensure_ascii=False).encode()) <= SUMMARY_BYTES:
        return summary
    return {"events": counts, "summary_too_large": True}


def fitting(result: WorkerResult) -> WorkerResult:
    """The result as one message can carry it: what a task says of itself, and what is said of it, may be shortened,
    never how it ended or which children it asks for."""
    if result.reason is not None and len(result.reason.message) > MESSAGE:
        why = replace(result.reason, message=f"{result.reason.message[: MESSAGE - 1]}…")
        result = result.model_copy(update={"reason": why})
    if len(result.model_dump_json().encode()) <= RESULT_BYTES:
        return result
    exit = result.exit and replace(result.exit, log_tail=result.exit.log_tail[-10:])
    return result.model_copy(update={"summary": {"summary_too_large": True}, "exit": exit})


def _describe(path: Path) -> tuple[int, str] | None:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return file.tell(), digest
    except FileNotFoundError:
        return None
