"""The members in the store: each change is a compare-and-set, written before anything outside is done for it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from studio9_common.contracts.collections import MEMBERS, WORKERS
from studio9_common.contracts.joining import JoinRequest
from studio9_common.documents.port import Where
from studio9_common.errors import Conflict, NotFound
from studio9_common.ids import new_id
from studio9_common.logs import logger
from studio9_common.times import Clock
from studio9_orion.joining.broker import BrokerUsers
from studio9_orion.joining.domain import (
    JoinRefused,
    Member,
    MemberExists,
    NotMember,
    invitation,
    parse_token,
    redeemed,
    shows,
)
from studio9_orion.store import Store, delete_many, find, get, swap


class NoBroker(Conflict):
    """Machines cannot join this platform: its bus is inside one process (`studio9 up`), or Orion does not know an
    administrator of the broker. Run it with deploy/compose, or set STUDIO9_ORION_BROKER_MANAGEMENT_URL."""

    code = "no_broker"


async def removed_among(store: Store, workers: Sequence[str]) -> frozenset[str]:
    """Those of these workers that were removed, in real time: a beat that was still on its way shows them once more."""
    found = await store.get_many(MEMBERS.name, workers) if workers else []
    return frozenset(one.id for one in found if one is not None and one.body["state"] == "removed")


async def forget_removed(store: Store, since: str) -> None:
    """Deletes the documents that the last beats of workers removed since then have made again."""
    where = Where(equals={"state": "removed"}, at_least={"updated_at": since})
    found = [item.id async for item in find(store, MEMBERS.name, where)]
    await delete_many(store, WORKERS.name, sorted(await removed_among(store, found)))


async def _untold(worker: str) -> None:
    """Nobody needs to know at once that a worker was removed."""


class Members:
    """Invites, admits and removes machines. `broker` None: none can join. `on_removed` is told of each that is removed,
    as soon as that is written."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        broker: BrokerUsers | None,
        on_removed: Callable[[str], Awaitable[None]] = _untold,
    ) -> None:
        self._store, self._clock, self._broker, self._on_removed = store, clock, broker, on_removed
        self._log = logger("orion").bind(audit=True)

    async def invite(self, worker: str, *, labels: tuple[str, ...], valid_s: float, by: str) -> tuple[Member, str]:
        """A new member and its join token. `worker` empty: a new id. Raises NoBroker, MemberExists, Conflict."""
        if self._broker is None:
            raise NoBroker
        worker = worker or new_id()
        before, etag = await self._load(worker)
        if before is None and await get(self._store, WORKERS.name, worker) is not None:
            raise MemberExists(field="worker", value=worker)
        member, token = invitation(worker, before, labels=labels, valid_s=valid_s, by=by, now=self._clock.now())
        await self._write(member, etag)
        return member, token

    async def redeem(self, request: JoinRequest) -> Member:
        """Admits a machine and makes its broker user. The same machine may ask again. Raises JoinRefused, NoBroker,
        Unavailable (ask again)."""
        if self._broker is None:
            raise NoBroker
        worker, secret = parse_token(request.token)
        before, etag = await self._load(worker)
        try:
            member = redeemed(before, secret, request.proof, self._clock.now())
        except JoinRefused:
            self._log.warning("join_refused", worker=worker, state=before.state if before else None)
            raise
        if member is not before:
            await self._write(member, etag)
        await self._broker.make(worker, request.broker_hash)
        after, _ = await self._load(worker)
        if not shows(after, request.proof):  # removed meanwhile: nothing of it must stay
            await self._broker.remove(worker)
            raise NotMember
        return member

    async def check(self, worker: str, proof: str) -> Member:
        """The member that shows this proof. Raises NotMember."""
        member, _ = await self._load(worker)
        if member is None or not shows(member, proof):
            raise NotMember
        return member

    async def revoke(self, worker: str, by: str) -> Member:
        """Takes an invitation back. Raises NotFound, Conflict for a machine that has joined."""
        member, etag = await self._load(worker)
        if member is None:
            raise NotFound(f"nobody was invited as {worker}", field="worker", value=worker)
        if member.state == "joined":
            raise MemberExists(f"{worker} has joined; remove it with `studio9 workers remove`", field="worker")
        return member if member.state != "invited" else await self._move(member, etag, "revoked", by)

    async def remove(self, worker: str, by: str) -> None:
        """It is no worker any more: its proof opens nothing, its broker user is gone. Again is harmless. Raises
        NotFound, Unavailable (then ask again)."""
        member, etag = await self._load(worker)
        if member is not None and member.state in ("joined", "invited"):
            await self._move(member, etag, "removed", by)
            await self._on_removed(worker)
        if member is not None and self._broker is not None:
            await self._broker.remove(worker)
        if member is None and await get(self._store, WORKERS.name, worker) is None:
            raise NotFound(f"there is no worker {worker}", field="id", value=worker)
        await delete_many(self._store, WORKERS.name, [worker])

    async def all(self) -> list[dict[str, Any]]:
        """Everybody who was invited, as operators see it; the newest change first."""
        now = self._clock.now()
        hits = find(self._store, MEMBERS.name, Where(), sort=("-updated_at",), fresh=True)
        return [Member.of(item.id, item.body).shown(now) async for item in hits]

    async def _move(self, member: Member, etag: str | None, state: Any, by: str) -> Member:
        moved = member.moved(state, state, by, self._clock.now())
        await self._write(moved, etag)
        return moved

    async def _load(self, worker: str) -> tuple[Member | None, str | None]:
        document = await get(self._store, MEMBERS.name, worker)
        return (None, None) if document is None else (Member.of(worker, document.body), document.etag)

    async def _write(self, member: Member, etag: str | None) -> None:
        if not await swap(self._store, MEMBERS.name, member.worker, member.document(), etag):
            raise Conflict(field="worker", value=member.worker)
        last = member.history[-1]
        self._log.info(
            "member", worker=member.worker, change=last["event"], by=last["by"], expires_at=member.expires_at
        )
