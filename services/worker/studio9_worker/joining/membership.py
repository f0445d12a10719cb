"""The composition's view of joining: settings of a member, its tokens, its object storage."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from studio9_common.contracts.joining import TokenRequest
from studio9_common.errors import BadInput, Studio9Error, Unauthenticated
from studio9_common.objects.port import Objects
from studio9_common.objects.s3 import s3_objects
from studio9_common.objects.s3_url import Location
from studio9_common.tasks import end
from studio9_worker.joining.identity import Identity, load, save
from studio9_worker.joining.keys import LentKeys
from studio9_worker.joining.orion import OrionForMembers
from studio9_worker.joining.tokens import MemberTokens
from studio9_worker.settings import WorkerSettings


class NotJoined(BadInput):
    """This machine has not joined a platform; give it a join token (an operator: `studio9 workers token`)."""

    code = "not_joined"


async def join(state: Path, *, url: str, token: str, check: bool = False, patience_s: float = 60.0) -> Identity:
    """The identity in this state folder; with a token, a machine that has none joins first. One that was removed joins
    anew. `check`: ask Orion, also without a token, whether it still is a member. Raises NotJoined, Unauthenticated (the
    token is refused, or it was removed), Conflict, Unavailable."""
    identity = await asyncio.to_thread(load, state)
    if identity is not None and identity.joined is not None:
        refused = await _refusal(identity) if token or check else None
        if refused is None:
            return identity
        if not token:
            raise refused
    if not token or not url:
        raise NotJoined(field="join_token" if not token else "orion_url")
    if identity is None or identity.joined is not None or identity.orion_url != url:
        identity = Identity.new(url)
        await asyncio.to_thread(save, state, identity)
    orion = OrionForMembers(identity, retry_s=patience_s)
    try:
        joined = await orion.join(token)
    finally:
        await orion.close()
    identity = identity.model_copy(update={"joined": joined})
    await asyncio.to_thread(save, state, identity)
    return identity


async def _refusal(identity: Identity) -> Unauthenticated | None:
    """What Orion says where the worker was removed; while it is away, what was known holds."""
    orion = OrionForMembers(identity, retry_s=0)
    try:
        await orion.token(TokenRequest(audience="argo"))
    except Unauthenticated as error:
        return error
    except Studio9Error:
        return None
    finally:
        await orion.close()
    return None


def settings_of(identity: Identity, given: WorkerSettings) -> WorkerSettings:
    """The settings of a member: who it is and where things are comes from Orion, all else stays as given."""
    joined = identity.joined
    assert joined is not None
    storage = joined.storage
    return given.model_copy(
        update={
            "worker_id": joined.worker,
            "installation": joined.installation,
            "bus_url": identity.bus_url,
            "argo_url": joined.argo_url,
            "objects_url": storage.url,
            "objects_endpoint": storage.endpoint,
            "objects_region": storage.region,
            "labels": ",".join(dict.fromkeys((*joined.labels, *given.label_set))),
            "task_image": given.task_image or joined.task_image,
            "token_keys": SecretStr(identity.local_keys),
        }
    )


@asynccontextmanager
async def membership(identity: Identity, settings: WorkerSettings) -> AsyncIterator[tuple[MemberTokens, Objects]]:
    """Tokens and the object storage of a member, while the block lasts; `settings` are those of `settings_of`."""
    assert identity.joined is not None
    orion = OrionForMembers(identity)
    renewing: asyncio.Task[None] | None = None
    if identity.joined.storage.lends_keys and not settings.objects_access_key:
        lent = LentKeys(orion)
        with contextlib.suppress(Studio9Error):  # `run` tries again, and says why
            await lent.renew()
        renewing = asyncio.create_task(lent.run(), name="storage-keys")
        place = urlsplit(settings.objects_url)
        objects: Objects = s3_objects(
            Location(place.netloc, settings.objects_region, settings.objects_endpoint),
            credentials=lent.current,
            prefix=place.path.strip("/"),
            profile="default",
        )
    else:
        objects = settings.open_objects()
    try:
        yield MemberTokens(orion), objects
    finally:
        if renewing is not None:
            await end(renewing)
        await objects.close()
        await orion.close()
