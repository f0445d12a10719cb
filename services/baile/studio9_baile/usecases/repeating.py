"""Requests that their callers name (`Idempotency-Key`): the same one again gets the same answer, and nothing is done
twice."""

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta

from studio9_baile.core import Caller, Core
from studio9_baile.database import Collision
from studio9_baile.repositories.holding import Holding
from studio9_baile.repositories.work import Work
from studio9_common.errors import BadInput, Conflict

ABANDONED = timedelta(minutes=5)
"""A request that takes longer has died with its instance: whoever comes again may carry it out."""
LARGEST = 256 * 1024
"""Bytes of an answer that is kept."""
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class KeyReused(Conflict):
    """This Idempotency-Key was used for another request; take a new one for each new request."""

    status = 422
    code = "idempotency_key_reused"


class StillWorking(Conflict):
    """The request with this Idempotency-Key is still being carried out; send it again in a moment."""

    code = "idempotency_key_in_use"


class DoneBefore(Conflict):
    """The request with this Idempotency-Key was carried out, and its answer held a secret that is not kept; make a new
    one with a new key if the answer was lost."""

    code = "done_before"


@dataclass(frozen=True, slots=True)
class Answered:
    """What the first request was answered with."""

    status: int
    content_type: str
    body: bytes


def fingerprint(method: str, path: str, query: str, body: bytes) -> str:
    """What makes two requests the same."""
    head = f"{method}\x1f{path}\x1f{query}\x1f".encode()
    return hashlib.sha256(head + hashlib.sha256(body).digest()).hexdigest()


async def begin(core: Core, caller: Caller, key: str, request: str) -> Answered | None:
    """The answer that this request has got before; None: it is to be carried out now, and then `finish` or `forget`.
    Raises BadInput, KeyReused, StillWorking, DoneBefore."""
    if not _KEY.fullmatch(key):
        raise BadInput("This Idempotency-Key cannot be used", field="Idempotency-Key", fix="use 1 to 200 letters")
    try:
        async with core.database.write(caller.organisation) as work:
            known = await work.named_requests.of(caller.user, key, lock=True)
            if known is None:
                work.named_requests.make(user=caller.user, key=key, request_hash=request)
                return None
            if known.request_hash != request:
                raise KeyReused(field="Idempotency-Key")
            if known.status is None:
                if work.now - known.created_at < ABANDONED:
                    raise StillWorking(field="Idempotency-Key")
                known.created_at = work.now
                return None
    except Collision:
        raise StillWorking(field="Idempotency-Key") from None
    if known.body is None:
        raise DoneBefore(field="Idempotency-Key")
    return Answered(known.status, known.content_type or "application/json", known.body)


async def finish(database: Holding, caller: Caller, key: str, answered: Answered, *, secret: bool) -> None:
    """Keeps the answer, in the last transaction that the request was carried out in: an instance that dies leaves
    both or neither. One with a secret in it is only known to have been given. Raises StillWorking; then the request
    has changed nothing."""

    async def keep(work: Work) -> None:
        known = await work.named_requests.of(caller.user, key, lock=True)
        if known is None or known.status is not None:
            raise StillWorking(field="Idempotency-Key")  # it was taken for dead, and another has carried it out
        known.status, known.content_type = answered.status, answered.content_type
        known.body = None if secret or len(answered.body) > LARGEST else answered.body
        await work.flush()

    if not await database.settle(keep):
        async with database.write(caller.organisation) as work:
            await keep(work)
        await database.settle()


async def forget(core: Core, caller: Caller, key: str) -> None:
    """The request was refused or has failed; it may come again with the same key."""
    async with core.database.write(caller.organisation) as work:
        known = await work.named_requests.of(caller.user, key, lock=True)
        if known is not None and known.status is None:
            await work.named_requests.remove(known)
