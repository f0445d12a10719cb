"""Whether an organisation may bring more in: its quotas, and what it uses, which is known without counting."""

from studio9_baile.core import Core
from studio9_baile.repositories.work import Work
from studio9_common.errors import Conflict


class QuotaReached(Conflict):
    """Your organisation keeps as much as it may; delete what is not needed, or have the quota raised."""

    code = "quota_reached"


async def check_room(core: Core, work: Work, *, pictures: int = 0, size: int = 0) -> None:
    """Raises QuotaReached if so many more pictures, or bytes, are more than the organisation may keep.

    The limits are soft: what comes in at the same moment does not see each other, and results of jobs are never
    refused. Without a quota nothing is asked of the database."""
    quotas = core.limits.quotas(work.organisation)
    if quotas.pictures is None and quotas.bytes is None:
        return
    used = await work.tallies.usage()
    stored = used.bytes + await work.versions.stored_bytes() + await work.code.stored_bytes()
    stored += await work.albums.video_bytes()
    for name, limit, there, more in (
        ("pictures", quotas.pictures, used.pictures, pictures),
        ("bytes", quotas.bytes, stored, size),
    ):
        if limit is not None and more and there + more > limit:
            raise QuotaReached(
                f"Your organisation may keep {limit} {name}; it has {there}, and this would bring {more} more",
                field=f"quotas.{name}",
                value=limit,
                fix="delete albums, datasets, tiles or models, or ask who runs the installation to raise baile/quotas",
            )
