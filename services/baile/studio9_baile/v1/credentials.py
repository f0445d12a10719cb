"""`/v1/credentials`: what opens buckets of one's own, given once and named by reference from then on."""

from pydantic import ConfigDict, Field, SecretStr

from studio9_baile.models.credentials import Credential
from studio9_baile.usecases import credentials
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import router
from studio9_baile.v1.wire import Answer, Body, Id, Page, TheSlice, Time, paged

routes = router(prefix="/credentials", tag="credentials")


class CredentialBody(Body):
    """Keys of an S3 bucket; `session_token` where they are temporary. No answer ever shows them again."""

    model_config = ConfigDict(hide_input_in_errors=True)
    name: str = Field(min_length=1, max_length=255)
    access_key: str = Field(min_length=1, max_length=1_000)
    secret_key: SecretStr = Field(min_length=1, max_length=1_000)
    session_token: SecretStr | None = Field(None, min_length=1, max_length=10_000)


class CredentialAnswer(Answer):
    """A stored credential: `id` is what a job's inputs name."""

    id: str
    name: str
    created_at: Time

    @classmethod
    def of(cls, row: Credential) -> "CredentialAnswer":
        return cls(id=row.id, name=row.name, created_at=row.created_at)


@routes.post("", status_code=201)
async def create(body: CredentialBody, core: TheCore, caller: TheCaller) -> CredentialAnswer:
    """Keeps keys, encrypted, for the workers that run the caller's jobs, and for nobody else."""
    token = body.session_token.get_secret_value() if body.session_token is not None else None
    made = await credentials.add_credential(
        core, caller, body.name, body.access_key, body.secret_key.get_secret_value(), token
    )
    return CredentialAnswer.of(made)


@routes.get("", response_model_exclude_none=True)
async def list_credentials(wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[CredentialAnswer]:
    rows = await credentials.list_credentials(core, caller, wanted)
    return paged([CredentialAnswer.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.get("/{credential_id}")
async def get(credential_id: Id, core: TheCore, caller: TheCaller) -> CredentialAnswer:
    return CredentialAnswer.of(await credentials.get_credential(core, caller, credential_id))


@routes.delete("/{credential_id}", status_code=204)
async def delete(credential_id: Id, core: TheCore, caller: TheCaller) -> None:
    """A job that names it and has not begun fails, and says why."""
    await credentials.delete_credential(core, caller, credential_id)
