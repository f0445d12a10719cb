"""Bringing an attempt's inputs into its folder, and what its request is to say."""

import asyncio
import errno
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from studio9_common.contracts.job import Input, ObjectRef
from studio9_common.contracts.reasons import Reason, reason
from studio9_common.contracts.sources import check_inputs
from studio9_common.errors import BadInput, Unavailable
from studio9_common.objects.port import BadKey, ChecksumMismatch, ObjectMissing
from studio9_task.errors import ManifestError, UnsafeName
from studio9_task.layout import CHECKPOINT, CHILDREN, MODEL, PICTURES, TaskFolder
from studio9_task.pictures import PictureRecord, read_manifest
from studio9_task.problems import describe
from studio9_task.request import Resume, TaskRequest
from studio9_task.safe import output_path
from studio9_worker.children import bring_children, ended_child
from studio9_worker.context import Context
from studio9_worker.credentials import registry_login
from studio9_worker.failing import StagingFailed, unusable
from studio9_worker.records import AttemptRecord
from studio9_worker.sources import bring_sources
from studio9_worker.transfer import gathered

AT_ONCE = 2000
"""Pictures of a manifest that are looked at together."""


async def stage(context: Context, record: AttemptRecord, threads: int) -> bytes:
    """Brings the attempt's inputs into its folder, and its image; may be repeated. Gives what its request.json is to
    say. Raises StagingFailed, RunnerError, ImageMissing."""
    folder = context.folders.of(record.key)
    spec = record.run.spec
    if spec.kind == "predict" and not (spec.provenance.model_id and spec.provenance.model_version):
        raise StagingFailed(reason("bad_input", "provenance: a prediction needs model_id and model_version."))
    try:
        check_inputs(spec)
    except BadInput as error:
        raise unusable(error) from None
    try:
        if brings_nothing(record):
            return _encoded(task_request(record, threads, None))
        await asyncio.to_thread(folder.make)
        stager = _Stager(context, record.organisation, folder)
        for one in spec.inputs:
            if one.ref is not None:
                await stager.bring(one, one.ref)
        await bring_sources(context, record, folder)
        if spec.image is not None:
            await context.runner.bring(record.key, spec.image, await registry_login(context, record))
        resume = None if record.run.resume is None else await stager.checkpoint(record.run.resume)
        await bring_children(record, folder, context.objects, stager.link)
        return _encoded(task_request(record, threads, resume))
    except (ManifestError, UnsafeName, BadKey) as error:
        raise StagingFailed(reason("bad_input", str(error))) from error
    except ValidationError as error:
        raise StagingFailed(reason("bad_input", f"the request cannot be used: {describe(error)}")) from error
    except (ObjectMissing, ChecksumMismatch, Unavailable) as error:
        raise StagingFailed(reason("staging_error", f"An input could not be brought: {error}")) from error
    except OSError as error:
        raise StagingFailed(disk_reason(error, "staging_error")) from error


def brings_nothing(record: AttemptRecord) -> bool:
    """Whether there is nothing to be staged but the request: a matter of moments."""
    run = record.run
    return not (run.spec.inputs or run.spec.image or run.resume or run.children)


def _encoded(request: TaskRequest) -> bytes:
    return request.model_dump_json(exclude_none=True).encode()


def disk_reason(error: OSError, code: str) -> Reason:
    """Why a file operation of the worker's own failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return reason("disk_full")
    return reason(code, f"A file could not be written: {error.strerror or error}")


def task_request(record: AttemptRecord, threads: int, resume: str | None) -> TaskRequest:
    """What the task finds in request.json. Raises pydantic.ValidationError."""
    spec = record.run.spec
    return TaskRequest(
        job=record.key.job,
        kind=spec.kind,
        framework=spec.framework,
        parameters=spec.parameters,
        seed=spec.seed,
        threads=threads,
        inputs=tuple(dict.fromkeys(PurePosixPath(one.name).parts[0] for one in spec.inputs if one.ref is not None)),
        resume=None if resume is None else Resume(checkpoint=resume),
        children=tuple(ended_child(one) for one in record.run.children),
    )


def file_target(folder: TaskFolder, one: Input, key: str) -> Path:
    """Where a `file` input of this key lies: `inputs/{name}` if the name is a path, else under its own name in its
    folder.

    The model is `inputs/model/model.pt` however it is named. Raises UnsafeName.
    """
    name = output_path(one.name)
    if len(name.parts) > 1:
        return folder.inputs / name
    if one.name == MODEL:
        return folder.model
    return folder.input(one.name) / f"{one.name}{PurePosixPath(key).suffix}"


class _Stager:
    def __init__(self, context: Context, organisation: str, folder: TaskFolder) -> None:
        self._context = context
        self._organisation = organisation
        self._folder = folder
        self._room = asyncio.Semaphore(context.settings.staging_parallel)

    async def bring(self, one: Input, ref: ObjectRef) -> None:
        # A manifest may lie beside the pictures, which are named by their hashes; a file could be taken for one.
        if output_path(one.name).parts[0] in ((CHILDREN,) if one.kind == "pictures" else (PICTURES, CHILDREN)):
            raise UnsafeName(f"{one.name!r}: the folders {PICTURES!r} and {CHILDREN!r} are the platform's: rename it.")
        if one.kind == "file":
            await self.link(ref, file_target(self._folder, one, ref.key))
            return
        if len(output_path(one.name).parts) > 1:
            raise UnsafeName(f"{one.name!r} cannot name a manifest's input: use a plain name.")
        manifest = self._folder.manifest(one.name)
        await self.link(ref, manifest)
        pictures = read_manifest(manifest)
        while chunk := await asyncio.to_thread(_take, pictures, AT_ONCE):
            each = {picture.sha256: picture for picture in chunk}.values()
            await gathered(self._picture(picture) for picture in each)

    async def _picture(self, picture: PictureRecord) -> None:
        ref = ObjectRef(key=picture.key, sha256=picture.sha256, size=picture.size)
        await self.link(ref, self._folder.picture(picture.sha256))

    async def checkpoint(self, ref: ObjectRef) -> str:
        """The path, in the task's folder, of the state to go on from."""
        target = self._folder.input(CHECKPOINT) / f"checkpoint{PurePosixPath(ref.key).suffix}"
        await self.link(ref, target)
        return target.relative_to(self._folder.root).as_posix()

    async def link(self, ref: ObjectRef, target: Path) -> None:
        if not ref.key.startswith(f"{self._organisation}/"):
            raise StagingFailed(reason("bad_input", f"{ref.key} does not belong to the job's organisation."))
        async with self._room:
            await self._context.cache.link(
                self._context.objects,
                self._organisation,
                ref,
                target,
                self._context.settings.staging_patience_s,
            )


def _take(pictures: Iterator[PictureRecord], count: int) -> list[PictureRecord]:
    return list(islice(pictures, count))
