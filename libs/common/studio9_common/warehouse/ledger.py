"""What the ledger's line means for a load that comes (again)."""

from collections.abc import Sequence
from typing import Any

from studio9_common.warehouse.port import Loaded, ManifestChanged


def repeated(row: Sequence[Any] | None, manifest: str | None, job: str, output: str) -> Loaded | None:
    """The line (manifest_sha256, loaded_rows, loaded_at) as a result, None if there is none.

    Raises ManifestChanged where `manifest` is given and is another than the one that was loaded.
    """
    if row is None:
        return None
    known, rows, loaded_at = row
    if manifest is not None and manifest != known:
        raise ManifestChanged(
            f"the output {output} of job {job} was loaded from the manifest {known}, now it is {manifest}",
            field="manifest_sha256",
            value=manifest,
        )
    return Loaded(int(rows), str(loaded_at), repeated=True)
