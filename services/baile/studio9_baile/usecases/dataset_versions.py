"""Dataset versions as `/v1` shows them: made once from albums, never changed, deleted when nothing works on them."""

from collections.abc import Mapping, Sequence

from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import DatasetManifest, DatasetVersion
from studio9_baile.models.pictures import Album, AlbumStatus
from studio9_baile.repositories.base import Slice
from studio9_baile.usecases.access import AccessDenied, check_read
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.datasets import SPLITS, add_version, drop_version, write_version
from studio9_common.errors import BadInput, Conflict

PURPOSE = "v1"
LINK_S = 3_600
"""Life of a manifest's URL, in seconds."""

Files = list[tuple[DatasetManifest, str]]
"""Manifests, each with a URL."""
MOST_NAMED = 10
"""Jobs that are named in a refusal."""


class DatasetVersionInUse(Conflict):
    """Jobs still need this dataset version; cancel them, or wait for their end."""

    code = "dataset_version_in_use"


async def create_version(core: Core, caller: Caller, albums: Mapping[str, str]) -> tuple[DatasetVersion, Files]:
    """A dataset version of the caller's albums, by split (`train`, `val`, `test`, `predict`). Raises BadInput."""
    found: dict[str, Album] = {}
    async with core.database.read(caller.organisation) as work:
        for name, identifier in albums.items():
            album = await work.albums.find(identifier)
            if album is None:
                raise BadInput("Album not found", field=f"albums.{name}", value=identifier, fix="choose one of yours")
            await check_read(work, caller, Kind.ALBUM, album)
            if album.status is not AlbumStatus.ACTIVE:
                raise BadInput("Album is not active", field=f"albums.{name}", value=album.status.value, fix="wait")
            if not await work.pictures.exists(work.pictures.row.album == album.id):
                raise BadInput("Album has no pictures", field=f"albums.{name}", value=identifier, fix="upload some")
            found[name] = album
    if not found:
        raise BadInput("No album is named", field="albums", fix=f"name one for {', '.join(SPLITS)}")
    version = await write_version(core, caller, PURPOSE, found)
    async with core.database.write(caller.organisation) as work:
        row = add_version(work, caller.user, version, core.objects.profile, None)
        changed(work, Kind.DATASET_VERSION, row.id, "created", by=caller)
        await work.flush()
        manifests = await work.manifests.of(row.id)
    return row, await _links(core, manifests)


async def list_versions(core: Core, caller: Caller, wanted: Slice) -> Sequence[DatasetVersion]:
    """The caller's dataset versions, newest first: those of their trainings and predictions too."""
    async with core.database.read(caller.organisation) as work:
        return await work.dataset_versions.recent(wanted, work.dataset_versions.row.author == caller.user)


async def get_version(core: Core, caller: Caller, identifier: str) -> tuple[DatasetVersion, Files]:
    """One dataset version, with each manifest and a URL of it for LINK_S seconds. Raises NotFound, AccessDenied."""
    async with core.database.read(caller.organisation) as work:
        row = await work.dataset_versions.get(identifier)
        if row.author != caller.user:
            raise AccessDenied
        manifests = await work.manifests.of(row.id)
    return row, await _links(core, manifests)


async def delete_version(core: Core, caller: Caller, identifier: str) -> None:
    """Deletes one of the caller's dataset versions. Models and predictions that were made with it stay, and name it.
    Raises NotFound, AccessDenied, DatasetVersionInUse, which names the jobs."""
    async with core.database.write(caller.organisation) as work:
        row = await work.dataset_versions.get(identifier, lock=True)
        if row.author != caller.user:
            raise AccessDenied
        if jobs := await work.processes.needing(row.id):
            named = ", ".join(f"{job.id} ({job.kind})" for job in jobs[:MOST_NAMED])
            more = f" and {len(jobs) - MOST_NAMED} more" if len(jobs) > MOST_NAMED else ""
            raise DatasetVersionInUse(
                f"Jobs that are not over need this dataset version: {named}{more}",
                field="version_id",
                value=row.id,
                fix="cancel them (POST /v1/jobs/{id}/cancel), or wait for their end",
            )
        await drop_version(work, row)
        changed(work, Kind.DATASET_VERSION, row.id, "deleted", by=caller)


async def _links(core: Core, manifests: Mapping[str, DatasetManifest]) -> Files:
    return [(one, await core.objects.signed_url(one.key, expires_s=LINK_S)) for one in manifests.values()]
