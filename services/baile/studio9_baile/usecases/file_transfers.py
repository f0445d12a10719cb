"""Files of binary datasets from and to buckets, in processes of their own."""

from studio9_baile.core import Caller, Core
from studio9_baile.models.jobs import EXPORT_FILES, IMPORT_FILES
from studio9_baile.models.stored import FileSet, FileSetStatus
from studio9_baile.usecases.asking import begin_local
from studio9_baile.usecases.buckets import BucketReference, forget_secret, keep_place, path_in
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.file_sets import idle


async def transfer(
    core: Core, caller: Caller, identifier: str, reference: BucketReference, path: str | None, *, out: bool
) -> FileSet:
    """Starts bringing files in from below a path, or `out` to there. Raises NotFound, AccessDenied, DatasetBusy,
    BadInput."""
    where = path_in(path, "to.path" if out else "from.path")
    async with core.database.read(caller.organisation) as work:
        await idle(work, caller, identifier)
    place = await keep_place(core, caller, reference)
    try:
        async with core.database.write(caller.organisation) as work:
            row = await idle(work, caller, identifier)
            row.status, row.updated_at = FileSetStatus.EXPORTING if out else FileSetStatus.IMPORTING, work.now
            kind, job_type = (EXPORT_FILES, "DATASET_EXPORT") if out else (IMPORT_FILES, "DATASET_IMPORT")
            begin_local(work, kind, job_type, Kind.DATASET, row.id, caller.user, {"path": where, "place": place})
            changed(work, Kind.DATASET, row.id, job_type.lower(), by=caller, status=row.status)
    except BaseException:
        await forget_secret(core, caller.organisation, place)
        raise
    return row
