"""Models and their versions as `/v1` shows them: a model exists before it is trained, each training is a version."""

from collections.abc import Sequence

from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import Model, ModelVersion
from studio9_baile.models.records import Lineage
from studio9_baile.repositories.base import Slice
from studio9_baile.security.names import text
from studio9_baile.usecases.access import check_owner, check_read
from studio9_baile.usecases.assets import check_name, name_of, rename_asset
from studio9_baile.usecases.changes import Kind, changed


async def create_model(core: Core, caller: Caller, name: str, description: str | None) -> Model:
    """A model without a version yet. Raises BadInput, Conflict for a name that is taken."""
    wanted = name_of(Kind.CV_MODEL, name)
    described = text(description, "description")
    async with core.database.write(caller.organisation) as work:
        await check_name(work, Kind.CV_MODEL, caller.user, wanted)
        model = work.models.make(owner=caller.user, name=wanted, description=described, in_library=True)
        changed(work, Kind.CV_MODEL, model.id, "created", by=caller)
    return model


async def update_model(core: Core, caller: Caller, identifier: str, name: str | None, description: str | None) -> Model:
    """Changes what is given of one of the caller's models. Raises NotFound, AccessDenied, Conflict for a name that is
    taken."""
    model: Model = await rename_asset(core, caller, Kind.CV_MODEL, identifier, name, description)
    return model


async def list_models(core: Core, caller: Caller, wanted: Slice) -> Sequence[Model]:
    """The caller's models, also those that are not in the library, newest first."""
    async with core.database.read(caller.organisation) as work:
        return await work.models.recent(wanted, work.models.row.owner == caller.user)


async def get_model(core: Core, caller: Caller, identifier: str) -> Model:
    """One of the caller's models. Raises NotFound, AccessDenied."""
    async with core.database.read(caller.organisation) as work:
        model = await work.models.get(identifier)
        await check_read(work, caller, Kind.CV_MODEL, model)
        return model


async def list_versions(core: Core, caller: Caller, model: str, wanted: Slice) -> Sequence[ModelVersion]:
    """A model's versions, newest first."""
    async with core.database.read(caller.organisation) as work:
        check_owner(caller, await work.models.get(model))
        return await work.versions.recent(wanted, work.versions.row.model == model)


async def get_version(core: Core, caller: Caller, model: str, identifier: str) -> tuple[ModelVersion, list[Lineage]]:
    """One version, and what it was made from."""
    async with core.database.read(caller.organisation) as work:
        check_owner(caller, await work.models.get(model))
        version = await work.versions.of(model, identifier)
        return version, await work.lineage.parents(version.id)
