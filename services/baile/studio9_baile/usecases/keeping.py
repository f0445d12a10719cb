"""Bytes that are stored once under their hash, whoever brings them in: of pictures, and of files."""

from collections.abc import AsyncIterator
from pathlib import Path

from studio9_baile.core import Core


async def keep(
    core: Core,
    key: str,
    data: Path | bytes | AsyncIterator[bytes],
    *,
    content_type: str,
    sha256: str,
    marked: bool | None = None,
) -> None:
    """Stores an object that may be there already; the row that names it is written soon after. It is no orphan from
    now on, even if it was found to be one: what is just being removed is stored again. `marked` is whether it was,
    where the caller has just looked."""
    organisation = key.partition("/")[0]
    if marked is None:
        async with core.database.read(organisation) as work:
            marked = bool(await work.orphans.of([key]))
    if marked:
        async with core.database.write(organisation, aside=True) as work:
            await work.orphans.spare(key)
    await core.objects.put(key, data, content_type=content_type, sha256=sha256)
