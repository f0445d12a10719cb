"""Pegasus' HTTP API for other services and operators: analysts' reading SQL, and the ledger of loads."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from studio9_common.errors import BadInput, NotFound
from studio9_common.http.app import ServiceCaller
from studio9_common.tokens import Caller
from studio9_common.warehouse.port import Warehouse
from studio9_pegasus.settings import PegasusSettings


class Query(BaseModel):
    """One reading statement on the view `predictions`; `:name` in it takes a parameter's value."""

    model_config = ConfigDict(extra="forbid")
    sql: Annotated[str, Field(min_length=1, max_length=20_000)]
    parameters: dict[str, Any] = Field(default_factory=dict)
    limit: int | None = Field(None, ge=1)


class Answer(BaseModel):
    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


class LedgerLine(BaseModel):
    job: str
    output: str
    rows: int
    loaded_at: str


def tenant(caller: Caller) -> str:
    """The organisation that the caller acts for. Raises BadInput for a token of none."""
    if caller.organisation == "system":
        raise BadInput("predictions belong to an organisation", field="organisation", fix="use a token of one")
    return caller.organisation


def router(warehouse: Warehouse, settings: Callable[[str], PegasusSettings]) -> APIRouter:
    """The routes; `settings` gives an organisation's, as they are now."""
    routes = APIRouter(prefix="/v1")

    @routes.post("/query")
    async def query(body: Query, caller: ServiceCaller) -> Answer:
        """Runs one statement; it sees the caller's organisation alone and can change nothing."""
        organisation = tenant(caller)
        most = settings(organisation).query_rows
        found = await warehouse.query(organisation, body.sql, body.parameters, limit=min(body.limit or most, most))
        return Answer(columns=found.columns, rows=found.rows, truncated=found.truncated)

    @routes.get("/loads/{job}/{output}")
    async def load(job: str, output: str, caller: ServiceCaller) -> LedgerLine:
        """What was loaded of one output."""
        line = await warehouse.ledger(tenant(caller), job, output)
        if line is None:
            raise NotFound("this output has not been loaded", field="job", value=job)
        return LedgerLine(job=job, output=output, rows=line.rows, loaded_at=line.loaded_at)

    return routes
