"""The HTTP of joining: what a machine asks with its token or its proof, and what operators do.

A member shows itself by `Authorization: Bearer WORKER.PROOF`.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from studio9_common.contracts.envelope import SYSTEM
from studio9_common.contracts.job import TERMINAL, Job
from studio9_common.contracts.joining import WORKER_NAME, Joined, JoinRequest, StorageKeys, TokenAnswer, TokenRequest
from studio9_common.errors import Conflict, Forbidden, Unavailable
from studio9_common.tokens import LIFETIME_S, Caller, TokenKeys
from studio9_orion.access import PlatformOperator
from studio9_orion.joining.domain import Member, NotMember
from studio9_orion.joining.members import Members
from studio9_orion.joining.storage import StorageLender
from studio9_orion.shell import Shell

AUDIENCES = frozenset({"argo"})
"""The services that a worker calls."""
READS = "config:read"
"""The scope of a token that belongs to no attempt."""
LONGEST_H = 24 * 30


class StillBusy(Conflict):
    """This worker has jobs; drain it first (`studio9 workers drain`), or give them up with `--force`."""

    code = "worker_busy"


class NoLoan(Unavailable):
    """This platform lends no keys of its object storage; give the worker keys of its own."""

    code = "no_loan"


class Invitation(BaseModel):
    """Who may join: `worker` is its id from then on, by default a new one; `hours` its token's life."""

    model_config = ConfigDict(extra="forbid")
    worker: str = Field("", pattern=rf"{WORKER_NAME}|^$")
    labels: tuple[str, ...] = Field((), max_length=32)
    hours: float = Field(1.0, gt=0, le=LONGEST_H)
    requested_by: str = Field("operator", max_length=128)


def router(
    shell: Shell, members: Members, keys: TokenKeys | None, joined: Joined, lender: StorageLender | None
) -> APIRouter:
    """The routes. `joined` is what a machine is told, but for its own name."""
    routes = APIRouter(prefix="/v1")

    async def member_of(request: Request) -> Member:
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        worker, _, proof = shown.partition(".")
        if scheme.lower() != "bearer" or not proof:
            raise NotMember
        return await members.check(worker, proof)

    Known = Annotated[Member, Depends(member_of)]

    # --- machines ----------------------------------------------------------------------------------------------------

    @routes.post("/joins/redeem")
    async def redeem(body: JoinRequest, response: Response) -> Joined:
        """A machine joins; the token inside is all that it needs. Asked again by the same machine, the same answer."""
        member = await members.redeem(body)
        response.headers["Cache-Control"] = "no-store"
        user = joined.broker_user + member.worker
        return joined.model_copy(update={"worker": member.worker, "broker_user": user, "labels": member.labels})

    @routes.post("/members/token")
    async def token(member: Known, body: TokenRequest, response: Response) -> TokenAnswer:
        """A short-lived service token: to read configuration, or for one attempt that this worker runs."""
        if keys is None or body.audience not in AUDIENCES:
            raise Forbidden(f"a worker has no business with {body.audience}", field="audience")
        caller = Caller("worker", SYSTEM, (READS,))
        if body.job is not None:
            caller = _attempt(await _running(shell, body.job), member.worker, body.fence)
        response.headers["Cache-Control"] = "no-store"
        return TokenAnswer(token=keys.sign(caller, body.audience), valid_s=LIFETIME_S)

    @routes.post("/members/storage-keys")
    async def storage_keys(member: Known, response: Response) -> StorageKeys:
        """Temporary keys of the object storage."""
        if lender is None:
            raise NoLoan
        response.headers["Cache-Control"] = "no-store"
        return await lender.lend(member.worker)

    # --- operators ---------------------------------------------------------------------------------------------------

    @routes.post("/joins", status_code=201)
    async def invite(_: PlatformOperator, body: Invitation, response: Response) -> dict[str, Any]:
        """A join token, shown this once."""
        valid_s = body.hours * 3600
        member, secret = await members.invite(body.worker, labels=body.labels, valid_s=valid_s, by=body.requested_by)
        response.headers["Cache-Control"] = "no-store"
        return {"worker": member.worker, "token": secret, "expires_at": member.expires_at}

    @routes.get("/joins")
    async def listed(_: PlatformOperator) -> dict[str, Any]:
        """Everybody who was invited: invited, expired, joined, revoked or removed, with the history of each."""
        return {"items": await members.all()}

    @routes.delete("/joins/{worker}")
    async def revoke(_: PlatformOperator, worker: str, requested_by: str = "operator") -> dict[str, Any]:
        """Takes back a token that was not used."""
        member = await members.revoke(worker, requested_by)
        return {"worker": worker, "state": member.state}

    @routes.delete("/workers/{id}")
    async def remove(
        _: PlatformOperator, id: str, force: bool = False, requested_by: str = "operator"
    ) -> dict[str, Any]:
        """Its broker user and its token are gone; with `force` also while it has jobs, which then go on elsewhere."""
        if not force and (held := await shell.jobs.held_by(id)):
            raise StillBusy(field="id", value=id, fix=f"it has {', '.join(held[:3])}")
        await members.remove(id, requested_by)
        return {"worker": id, "state": "removed"}

    return routes


async def _running(shell: Shell, id: str) -> Job:
    found = await shell.jobs.load(id)
    if found is None or found.job.state in TERMINAL:
        raise Forbidden(f"there is no running job {id}", field="job", value=id)
    return found.job


def _attempt(job: Job, worker: str, fence: int | None) -> Caller:
    """The caller that an attempt's token names. Raises Forbidden unless it is the current one, on this worker."""
    last = job.attempts[-1] if job.attempts else None
    if last is None or last.ended_at is not None or last.worker != worker or not fence == job.fence == last.fence:
        raise Forbidden("this attempt is not yours, or is over", field="job", value=job.id)
    opens = tuple(f"secret:{one}" for one in job.spec.secrets)
    return Caller("worker", job.organisation, (READS, *opens), job.id, job.fence)
