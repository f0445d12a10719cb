"""What goes with every change of an asset: the audit log, an event for those who watch, and lineage."""

from collections.abc import Collection
from enum import StrEnum

from studio9_baile.core import Caller
from studio9_baile.repositories.work import Work


class Kind(StrEnum):
    """Kinds of assets, by Salsa's names, and those that it does not know."""

    ALBUM = "ALBUM"
    CV_MODEL = "CV_MODEL"
    EXPERIMENT = "EXPERIMENT"
    CV_PREDICTION = "CV_PREDICTION"
    ONLINE_JOB = "ONLINE_JOB"
    PROJECT = "PROJECT"
    DATASET = "DATASET"
    ONLINE_API = "ONLINE_API"
    MODEL_VERSION = "MODEL_VERSION"
    DATASET_VERSION = "DATASET_VERSION"
    CODE_PACKAGE = "CODE_PACKAGE"
    CREDENTIAL = "CREDENTIAL"
    FOLDER = "FOLDER"
    SHARE = "SHARE"
    USER = "USER"


def changed(
    work: Work,
    kind: Kind,
    asset: str,
    change: str,
    *,
    by: Caller | None = None,
    status: str = "",
    to: Collection[str] = (),
) -> None:
    """Records a change (`created`, `updated`, `deleted`, …): in the log if a user made it, and as an event, for the
    users `to`, or the whole organisation."""
    if by is not None:
        work.audit(by.user, change, kind, asset)
    data = {"kind": kind.value, "id": asset, "change": change}
    for user in to or (None,):
        work.emit("asset.changed", {**data, "status": status} if status else data, user=user)


def made_from(
    work: Work, child_kind: Kind, child: str, parent_kind: Kind, parent: str, role: str, job: str | None = None
) -> None:
    """Records that an asset was made from another."""
    work.lineage.make(
        child_kind=child_kind.value, child=child, parent_kind=parent_kind.value, parent=parent, role=role, job=job
    )


async def forget_place(work: Work, kind: Kind, asset: str) -> None:
    """A deleted asset is in no project and shared with nobody."""
    await work.links.unlink(kind.value, asset)
    await work.shares.drop(kind.value, asset)
