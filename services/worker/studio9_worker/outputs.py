"""Taking what a task announced: nothing else, no link, no more than the limits, with the content it promised."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from studio9_common.contracts.predictions import ManifestFile
from studio9_common.objects.port import BadKey, ChecksumMismatch, Objects
from studio9_task.errors import UnsafeName
from studio9_task.events import Artifact
from studio9_task.safe import open_output
from studio9_worker.settings import WorkerSettings
from studio9_worker.transfer import chunks, gathered, patiently

GIB = 1 << 30


class BadOutput(Exception):
    """The task announced a file that is not there, not plain, too large or not what it said; announce it when it is
    finished, with its own hash."""


async def take_outputs(
    objects: Objects,
    settings: WorkerSettings,
    outputs: Path,
    prefix: str,
    announced: Iterable[Artifact],
    patience_s: float,
) -> list[ManifestFile]:
    """Uploads the announced files to `{prefix}outputs/<path>`; may be repeated.

    Raises BadOutput, naming the file; ObjectsUnavailable once the storage has been away for too long.
    """
    files = sorted(announced, key=lambda one: one.path)
    check_limits(files, settings)
    if files:
        await asyncio.to_thread(check_files, outputs, files)  # before anything is sent
    room = asyncio.Semaphore(settings.uploads_parallel)

    async def take(one: Artifact) -> ManifestFile:
        async with room:
            return await _take(objects, patience_s, outputs, f"{prefix}outputs/{one.path}", one)

    return await gathered(take(one) for one in files)


def check_limits(files: list[Artifact], settings: WorkerSettings) -> None:
    """Raises BadOutput for too many or too large files, by what was announced."""
    if len(files) > settings.outputs_count:
        raise BadOutput(f"{len(files)} outputs are announced; at most {settings.outputs_count} are taken")
    for one in files:
        if one.size > settings.output_gib * GIB:
            raise BadOutput(f"{one.path!r} has {one.size} bytes; at most {settings.output_gib:g} GiB are taken")
    if sum(one.size for one in files) > settings.outputs_gib * GIB:
        raise BadOutput(f"the outputs are larger than {settings.outputs_gib:g} GiB together")


def check_files(outputs: Path, files: list[Artifact]) -> None:
    """Raises BadOutput for a file that is missing, a link, or of another size than was announced."""
    for one in files:
        try:
            with open_output(outputs, one.path) as file:
                size = file.seek(0, 2)
        except FileNotFoundError:
            raise BadOutput(f"{one.path!r} was announced, but it is not there") from None
        except UnsafeName as error:
            raise BadOutput(str(error)) from None
        if size != one.size:
            raise BadOutput(f"{one.path!r} has {size} bytes, but {one.size} were announced")


async def _take(objects: Objects, patience_s: float, outputs: Path, key: str, one: Artifact) -> ManifestFile:
    try:
        await patiently(lambda: put_output(objects, outputs, one.path, key, one.sha256, one.media_type), patience_s)
    except ChecksumMismatch:
        raise BadOutput(f"{one.path!r} does not have the sha256 that was announced") from None
    except (UnsafeName, FileNotFoundError, BadKey) as error:
        raise BadOutput(str(error)) from None
    return ManifestFile(
        name=one.path, key=key, sha256=one.sha256, size=one.size, media_type=one.media_type, artifact=one.name
    )


async def put_output(objects: Objects, outputs: Path, name: str, key: str, sha256: str, media_type: str) -> None:
    """Uploads one file as it was when it was opened, whatever the task puts in its place meanwhile.

    Raises UnsafeName, FileNotFoundError, and what `Objects.put` raises.
    """
    file = await asyncio.to_thread(open_output, outputs, name)
    with file:
        await objects.put(key, chunks(file), content_type=media_type, sha256=sha256)
