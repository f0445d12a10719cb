"""Experiments."""

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from studio9_baile.usecases import experiments
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.experiments import NewExperiment
from studio9_baile.usecases.listing import list_assets
from studio9_baile.usecases.pipeline import TYPE
from studio9_baile.v2.albums import Shared
from studio9_baile.v2.dependencies import TheCaller, TheCore, ThePage, TheShelf
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Listed, Removed
from studio9_baile.v2.wire.experiments import ExperimentAnswer, ExperimentListItem, NewExperimentBody, PipelineBody
from studio9_baile.v2.wire.models import RenameBody
from studio9_common.errors import BadInput

routes = router()


@routes.get("/experiments")
async def list_experiments(
    core: TheCore, caller: TheCaller, page: ThePage, shelf: TheShelf
) -> Listed[ExperimentListItem]:
    found, count = await list_assets(core, caller, Kind.EXPERIMENT, shelf, page)
    return Listed(data=[ExperimentListItem.of(one) for one in found], count=count)


@routes.post("/experiments")
async def create(body: NewExperimentBody, core: TheCore, caller: TheCaller) -> ExperimentAnswer:
    if body.type != TYPE:
        raise BadInput("Experiment type is not offered yet", field="type", value=body.type[:100], fix=f"use {TYPE}")
    try:
        pipeline = PipelineBody.model_validate(body.pipeline)
    except ValidationError as error:
        problems = [{**one, "loc": ("pipeline", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(problems) from None
    if pipeline.step2 is not None:
        raise BadInput(
            "Two-step training is not offered yet", field="pipeline.step2", fix="leave it out and train one step"
        )
    new = NewExperiment(
        name=body.name,
        description=body.description,
        step=pipeline.step1.step(),
        pipeline=without_nulls(body.pipeline),
    )
    return ExperimentAnswer.of(await experiments.create_experiment(core, caller, new))


@routes.get("/experiments/{experiment_id}")
async def get(experiment_id: str, core: TheCore, caller: TheCaller, share: Shared = None) -> ExperimentAnswer:
    return ExperimentAnswer.of(await experiments.get_experiment(core, caller, experiment_id, share))


@routes.put("/experiments/{experiment_id}")
async def update(experiment_id: str, body: RenameBody, core: TheCore, caller: TheCaller) -> ExperimentAnswer:
    changed = await experiments.update_experiment(core, caller, experiment_id, body.name, body.description)
    return ExperimentAnswer.of(changed)


@routes.delete("/experiments/{experiment_id}")
async def delete(experiment_id: str, core: TheCore, caller: TheCaller) -> Removed:
    await experiments.delete_experiment(core, caller, experiment_id)
    return Removed(id=experiment_id)


def without_nulls(value: Any) -> Any:
    """The same JSON without what is null: the UI reads a null as something."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value
