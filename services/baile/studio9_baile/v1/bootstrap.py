"""`POST /v1/bootstrap`: the first user of an organisation, by a one-time token."""

from pydantic import BaseModel, ConfigDict

from studio9_baile.usecases import users
from studio9_baile.usecases.users import NewUser
from studio9_baile.v1.dependencies import TheCore
from studio9_baile.v1.routing import router

routes = router()


class BootstrapBody(BaseModel):
    """The token, and who the first user is."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    token: str
    organisation: str
    username: str
    email: str
    password: str
    firstName: str
    lastName: str


class FirstUser(BaseModel):
    """The user that was made."""

    id: str
    organisation: str
    username: str
    email: str
    firstName: str
    lastName: str


@routes.post("/bootstrap", status_code=201)
async def bootstrap(body: BootstrapBody, core: TheCore) -> FirstUser:
    """Makes an organisation with its administrator. The token is used up."""
    new = NewUser(
        username=body.username,
        email=body.email,
        password=body.password,
        first_name=body.firstName,
        last_name=body.lastName,
    )
    user = await users.bootstrap(core, body.token, body.organisation, new)
    return FirstUser(
        id=user.id,
        organisation=user.organisation,
        username=user.username,
        email=user.email,
        firstName=user.first_name,
        lastName=user.last_name,
    )
