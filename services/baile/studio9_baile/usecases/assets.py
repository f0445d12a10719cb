"""What all assets have in common: a name of their own, a description, and who may read and rename them."""

from dataclasses import dataclass
from typing import Any

from studio9_baile.core import Caller, Core
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import asset_name, text
from studio9_baile.usecases.access import check_owner, check_read
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.listing import repository_of
from studio9_common.errors import BadInput, Conflict


@dataclass(frozen=True, slots=True)
class Words:
    """What a kind is called, and how a name that is taken is refused."""

    noun: str
    taken: str
    refusal: type[BadInput] | type[Conflict] = BadInput


WORDS = {
    Kind.ALBUM: Words("Album", "Album with this name already exists"),
    Kind.CV_MODEL: Words("Model", "Provided model name is already taken", Conflict),
    Kind.CV_PREDICTION: Words("Prediction", "Prediction already exists"),
    Kind.EXPERIMENT: Words("Experiment", "Experiment with this name already exists", Conflict),
    Kind.ONLINE_JOB: Words("Online job", "Online job with this name already exists"),
    Kind.DATASET: Words("Dataset", "Dataset with this name already exists"),
    Kind.ONLINE_API: Words("Online API", "Online API with this name already exists"),
    Kind.PROJECT: Words("Project", "Project with this name already exists"),
}


def name_of(kind: Kind, name: str | None, field: str = "name") -> str:
    """A name as it is kept. Raises BadInput for none, an empty or an overlong one."""
    return asset_name(name, WORDS[kind].noun, field)


async def check_name(
    work: Work, kind: Kind, owner: str, name: str, *, other_than: str | None = None, field: str = "name"
) -> None:
    """Raises the kind's refusal if the owner has another asset of this name in the library."""
    if await repository_of(work, kind).name_taken(owner, name, other_than=other_than):
        raise WORDS[kind].refusal(WORDS[kind].taken, field=field, value=name, fix="choose another name")


async def get_asset(core: Core, caller: Caller, kind: Kind, identifier: str, share: str | None = None) -> Any:
    """One asset, by its owner or with a share. Raises NotFound, AccessDenied."""
    async with core.database.read(caller.organisation) as work:
        asset = await repository_of(work, kind).get(identifier)
        await check_read(work, caller, kind, asset, share)
        return asset


async def rename_asset(
    core: Core, caller: Caller, kind: Kind, identifier: str, name: str | None, description: str | None
) -> Any:
    """Changes name and description of the caller's own, as far as they are given."""
    async with core.database.write(caller.organisation) as work:
        return await rename(work, caller, kind, identifier, name, description)


async def rename(
    work: Work, caller: Caller, kind: Kind, identifier: str, name: str | None, description: str | None
) -> Any:
    """`rename_asset` within a transaction that does more."""
    asset = await repository_of(work, kind).get(identifier, lock=True)
    check_owner(caller, asset)
    if name is not None:
        wanted = name_of(kind, name)
        await check_name(work, kind, caller.user, wanted, other_than=asset.id)
        asset.name = wanted
    if description is not None:
        asset.description = text(description, "description")
    asset.updated_at = work.now
    changed(work, kind, asset.id, "updated", by=caller)
    return asset
