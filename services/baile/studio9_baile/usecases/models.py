"""CV models: Salsa's view of a model's newest version."""

from dataclasses import dataclass

from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import Model, ModelVersion, VersionStatus
from studio9_baile.repositories.paging import Page
from studio9_baile.repositories.work import Work
from studio9_baile.security.names import text
from studio9_baile.usecases.access import check_owner, check_read
from studio9_baile.usecases.assets import check_name, name_of, rename
from studio9_baile.usecases.changes import Kind, changed, forget_place
from studio9_baile.usecases.listing import Shelf, list_assets
from studio9_common.errors import BadInput, Conflict


@dataclass(frozen=True, slots=True)
class SeenModel:
    """A model with its newest version."""

    model: Model
    version: ModelVersion
    extractor: str | None = None
    """The model that its training began with."""


async def list_models(core: Core, caller: Caller, shelf: Shelf, page: Page) -> tuple[list[SeenModel], int]:
    """A page of the library's models."""
    found, count = await list_assets(core, caller, Kind.CV_MODEL, shelf, page)
    async with core.database.read(caller.organisation) as work:
        versions = await work.versions.latest([model.id for model in found])
    return [SeenModel(model, versions[model.id]) for model in found if model.id in versions], count


async def get_model(core: Core, caller: Caller, identifier: str, share: str | None = None) -> SeenModel:
    """One model."""
    async with core.database.read(caller.organisation) as work:
        model = await work.models.get(identifier)
        await check_read(work, caller, Kind.CV_MODEL, model, share)
        version = await work.versions.latest_of(model.id)
        begun = await work.versions.find(version.feature_extractor) if version.feature_extractor else None
        return SeenModel(model, version, None if begun is None else begun.model)


async def update_model(
    core: Core, caller: Caller, identifier: str, name: str | None, description: str | None
) -> SeenModel:
    """Changes name and description, as far as they are given."""
    async with core.database.write(caller.organisation) as work:
        model = await rename(work, caller, Kind.CV_MODEL, identifier, name, description)
        return SeenModel(model, await work.versions.latest_of(model.id))


async def save_model(
    core: Core, caller: Caller, identifier: str, name: str | None, description: str | None
) -> SeenModel:
    """Puts a trained model into the library, under a name that must be given."""
    async with core.database.write(caller.organisation) as work:
        model = await _own(work, caller, identifier)
        version = await work.versions.latest_of(model.id)
        if version.status is not VersionStatus.ACTIVE:
            raise BadInput(
                "This can be done only to active model", field="status", value=version.status.value, fix="wait for it"
            )
        if model.in_library:
            raise BadInput("This model has already been saved in library", field="id", fix="rename it instead")
        wanted = name_of(Kind.CV_MODEL, name)
        await check_name(work, Kind.CV_MODEL, caller.user, wanted, other_than=model.id)
        model.name, model.in_library = wanted, True
        if description is not None:
            model.description = text(description, "description")
        model.updated_at = work.now
        changed(work, Kind.CV_MODEL, model.id, "saved", by=caller)
    return SeenModel(model, version)


async def delete_model(core: Core, caller: Caller, identifier: str) -> None:
    """Deletes a model with its versions, if it has any, unless a run or a deployment uses it."""
    async with core.database.write(caller.organisation) as work:
        model = await _own(work, caller, identifier)
        version = (await work.versions.latest([model.id])).get(model.id)
        if version is not None and version.status is VersionStatus.TRAINING:
            raise Conflict("Can't delete running model", field="status", value=version.status.value, fix="cancel it")
        if (
            await work.predictions.using_model(model.id)
            or await work.deployments.using_model(model.id)
            or await work.online_apis.using_model(model.id)
            or await work.experiments.using(model.id)
        ):
            raise BadInput(
                "Model in use", field="id", fix="delete the experiments, predictions or online jobs that use it first"
            )
        await forget_place(work, Kind.CV_MODEL, model.id)
        await work.models.remove(model)
        changed(work, Kind.CV_MODEL, model.id, "deleted", by=caller)


async def _own(work: Work, caller: Caller, identifier: str) -> Model:
    model = await work.models.get(identifier, lock=True)
    check_owner(caller, model)
    return model
