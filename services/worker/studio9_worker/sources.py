"""Inputs that lie in buckets of users' own: opened with stored credentials, measured, and brought here.

The credentials are asked of Argo with a token that is bound to job and attempt, stay in memory while the inputs are
brought, and reach no file, message, event, log or task.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from studio9_common.contracts.job import Input, Source
from studio9_common.contracts.reasons import reason
from studio9_common.errors import BadInput, Unavailable
from studio9_common.objects.foreign import (
    BucketChanged,
    BucketMissing,
    BucketRefused,
    ForeignBucket,
    Found,
    open_bucket,
)
from studio9_common.objects.s3_url import Credentials, Location
from studio9_task.layout import TaskFolder
from studio9_task.safe import output_path
from studio9_worker.cache import InputCache
from studio9_worker.context import Context
from studio9_worker.credentials import secret_of
from studio9_worker.failing import StagingFailed, unusable
from studio9_worker.records import AttemptRecord
from studio9_worker.settings import WorkerSettings
from studio9_worker.transfer import gathered, patiently

GIB = 1 << 30
AT_ONCE = 2_000
"""Objects that are looked at together."""


@dataclass(frozen=True, slots=True)
class _File:
    """One object, and where it goes."""

    found: Found
    target: Path


async def bring_sources(context: Context, record: AttemptRecord, folder: TaskFolder) -> None:
    """Brings what the job's inputs name in users' buckets. Raises StagingFailed with a reason of its own for each way
    in which that can fail, UnsafeName, OSError."""
    wanted = [(one, one.source) for one in record.run.spec.inputs if one.source is not None]
    room = Room(context.settings_for(record.organisation))
    keys: dict[str, Credentials] = {}
    for one, source in wanted:
        if source.credential not in keys:
            keys[source.credential] = await _credentials(context, record, source.credential)
        where = f"inputs, {one.name}"
        try:
            async with _opened(context.settings, source, keys[source.credential]) as bucket:
                bringer = Bringer(context.settings, context.cache, record.organisation, source, bucket)
                files = await bringer.look(one, folder.input(one.name), room)
                await bringer.bring(files)
        except BucketMissing as error:
            raise StagingFailed(reason("source_missing", f"{where}: {error.message}.")) from None
        except BucketRefused as error:
            raise StagingFailed(
                reason("source_refused", f"{where}: {error.message}; check what the stored credential allows.")
            ) from None
        except BadInput as error:
            raise unusable(error, where) from None
        except (BucketChanged, Unavailable) as error:
            raise StagingFailed(
                reason("staging_error", f"{where}: it could not be brought: {error.message}.")
            ) from None


class Room:
    """What an attempt may still bring from buckets."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._bytes, self._objects = int(settings.bucket_gib * GIB), settings.bucket_objects
        self._limits = f"at most {settings.bucket_gib:g} GiB and {settings.bucket_objects:,} objects"

    def take(self, name: str, files: Sequence[Found]) -> None:
        """Raises StagingFailed where it is too much."""
        self._bytes -= sum(one.size for one in files)
        self._objects -= len(files)
        if self._bytes < 0 or self._objects < 0:
            raise StagingFailed(
                reason("source_too_large", f"inputs, {name}: {self._limits} are brought from buckets; bring less.")
            )

    def over(self, count: int) -> bool:
        """Whether so many more are too many."""
        return count > self._objects


class Bringer:
    """Brings what one source names."""

    def __init__(
        self, settings: WorkerSettings, cache: InputCache, organisation: str, source: Source, bucket: ForeignBucket
    ) -> None:
        self._cache, self._organisation = cache, organisation
        self._source, self._bucket = source, bucket
        self._patience_s = settings.staging_patience_s
        self._room = asyncio.Semaphore(settings.staging_parallel)

    async def look(self, one: Input, folder: Path, room: Room) -> Sequence[_File]:
        """What is there, and where each goes; nothing is fetched before all of it fits."""
        key, prefix = self._source.key, self._source.prefix or ""
        if key is not None:
            found = await patiently(lambda: self._bucket.find(key), self._patience_s)
            room.take(one.name, [found])
            return [_File(found, folder / output_path(f"{one.name}{PurePosixPath(key).suffix}"))]
        listed = await patiently(lambda: self._listed(prefix, room), self._patience_s)
        room.take(one.name, listed)
        files = [
            _File(found, folder / output_path(found.key[len(prefix) :]))
            for found in listed
            if not _shows_a_folder(found, prefix)
        ]
        if not files:
            raise BucketMissing(f"there is nothing below {prefix!r} in the bucket {self._source.bucket}")
        taken = {file.target for file in files}
        if clash := next((file for file in files if not taken.isdisjoint(file.target.parents)), None):
            raise BadInput(f"{clash.found.key!r} lies below another object", field="prefix", fix="rename one of them")
        return files

    async def _listed(self, prefix: str, room: Room) -> Sequence[Found]:
        """All below the prefix, or one more than may come: also of those that are passed over there is an end."""
        found: list[Found] = []
        async for one in self._bucket.list(prefix):
            found.append(one)
            if room.over(len(found)):
                break
        return found

    async def bring(self, files: Sequence[_File]) -> None:
        """From the cache where this credential has brought the same before, and the bucket's server tells versions
        apart."""
        for start in range(0, len(files), AT_ONCE):
            await gathered(self._one(file) for file in files[start : start + AT_ONCE])

    async def _one(self, file: _File) -> None:
        async def fetch(path: Path) -> None:
            await patiently(lambda: self._bucket.fetch(file.found, path, self._source.sha256), self._patience_s)

        identity = self._identity(file.found)
        async with self._room:
            if file.found.etag or self._source.sha256 is not None:
                await self._cache.link_source(self._organisation, identity, file.target, fetch)
                return
            # Nothing would tell, the next time, whether it is still the same.
            await asyncio.to_thread(file.target.parent.mkdir, parents=True, exist_ok=True)
            path = file.target.with_name(f".{identity}")
            await fetch(path)
            await asyncio.to_thread(path.chmod, 0o444)
            await asyncio.to_thread(path.replace, file.target)

    def _identity(self, found: Found) -> str:
        source = self._source
        parts = (
            source.credential, source.endpoint or "", source.region, source.bucket, found.key, found.etag,
            str(found.size), source.sha256 or "",
        )  # fmt: skip
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _shows_a_folder(found: Found, prefix: str) -> bool:
    """Whether it is what consoles make to show a folder, and no file."""
    return found.size == 0 and (found.key == prefix or found.key.endswith("/"))


@asynccontextmanager
async def _opened(settings: WorkerSettings, source: Source, keys: Credentials) -> AsyncIterator[ForeignBucket]:
    own = settings.buckets_endpoint.rstrip("/")
    endpoint = (source.endpoint or own).rstrip("/")
    place = Location(source.bucket, source.region, endpoint or None)
    trusted = endpoint != "" and endpoint == own
    async with AsyncExitStack() as stack:
        # Its name may not be known for a moment.
        yield await patiently(
            lambda: stack.enter_async_context(open_bucket(place, keys, trusted=trusted)), settings.staging_patience_s
        )


async def _credentials(context: Context, record: AttemptRecord, reference: str) -> Credentials:
    value = await secret_of(context, record, reference, "credential_missing", "credential")
    if isinstance(value, Mapping):
        access, secret, token = value.get("access_key"), value.get("secret_key"), value.get("token")
        if isinstance(access, str) and access and isinstance(secret, str) and secret:
            return Credentials(access, secret, token if isinstance(token, str) and token else None)
    raise StagingFailed(reason("bad_input", f"the stored credential {reference} holds no keys of a bucket."))
