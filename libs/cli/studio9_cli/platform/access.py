"""What an operator may ask of the platform as a whole: tokens for first users, organisations by name."""

from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel

from studio9_baile.app import BaileService
from studio9_common.errors import NotFound
from studio9_common.http.app import ServiceCaller, create_app
from studio9_common.tokens import TokenKeys

NAME = "platform"


class BootstrapToken(BaseModel):
    """A one-time token for POST /v1/bootstrap."""

    token: str


class OrganisationId(BaseModel):
    id: str


def access_app(baile: BaileService, keys: TokenKeys) -> FastAPI:
    """The app; every route needs a service token."""
    app = create_app(NAME, keys=keys, docs_url=None, redoc_url=None)

    @app.post("/v1/bootstrap-tokens")
    async def bootstrap_token(_: ServiceCaller) -> BootstrapToken:
        return BootstrapToken(token=await baile.create_bootstrap_token())

    @app.get("/v1/organisations")
    async def organisation(name: Annotated[str, Query()], _: ServiceCaller) -> OrganisationId:
        """The id of the organisation with this name."""
        async with baile.core.database.system() as work:
            row = await work.organisation(name)
        if row is None:
            raise NotFound("there is no organisation with this name", field="organisation", value=name)
        return OrganisationId(id=row.id)

    return app
