"""Experiments."""

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from studio9_baile.usecases import experiments
from studio9_baile.usecases.changes import Kind
from studio9_baile.usecases.experiments import NewExperiment
from studio9_baile.usecases.pipeline import TYPE
from studio9_baile.v2.dependencies import TheCaller, TheCore
from studio9_baile.v2.routing import router
from studio9_baile.v2.runs import add_run_routes
from studio9_baile.v2.wire.base import Listed
from studio9_baile.v2.wire.experiments import ExperimentAnswer, ExperimentListItem, NewExperimentBody, PipelineBody
from studio9_common.errors import BadInput

routes = router()
add_run_routes(
    routes,
    "experiments",
    Kind.EXPERIMENT,
    answer=ExperimentAnswer,
    item=ExperimentListItem,
    listed=Listed[ExperimentListItem],
    delete=experiments.delete_experiment,
)


@routes.post("/experiments")
async def create(body: NewExperimentBody, core: TheCore, caller: TheCaller) -> ExperimentAnswer:
    if body.type != TYPE:
        raise BadInput("Experiment type is not offered yet", field="type", value=body.type[:100], fix=f"use {TYPE}")
    try:
        pipeline = PipelineBody.model_validate(body.pipeline)
    except ValidationError as error:
        problems = [{**one, "loc": ("pipeline", *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(problems) from None
    new = NewExperiment(
        name=body.name,
        description=body.description,
        steps=pipeline.steps(),
        pipeline=without_nulls(body.pipeline),
    )
    return ExperimentAnswer.of(await experiments.create_experiment(core, caller, new))


def without_nulls(value: Any) -> Any:
    """The same JSON without what is null: the UI reads a null as something."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value
