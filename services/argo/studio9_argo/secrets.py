"""Secrets of organisations: kept once, encrypted, revealed only to the services they are meant for."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from studio9_argo.box import Box, LostKey
from studio9_argo.collections import SECRETS
from studio9_argo.domain import MAX_VALUE
from studio9_common.contracts.configuration import SYSTEM, SecretInfo
from studio9_common.documents.port import DocumentMissing, Documents, Stored, VersionConflict, Where
from studio9_common.errors import BadInput, Forbidden, NotFound, PreconditionFailed, Studio9Error, TooLarge
from studio9_common.ids import new_id
from studio9_common.logs import logger
from studio9_common.times import Clock, format_time
from studio9_common.tokens import Caller

AUDIENCES = frozenset({"worker", "taurus", "pegasus", "orion", "baile"})
_KEEPERS = frozenset({"baile", "studio9"})
"""Services that store, list and delete secrets for the users."""
PAGE = 1_000
"""Secrets that one search for a rotation gives."""


class Secrets:
    """The operations behind the secrets' routes. Values never appear in a list, a log or an error."""

    def __init__(self, documents: Documents, box: Box, clock: Clock) -> None:
        self._documents, self._box, self._clock = documents, box, clock
        self._log = logger("argo")

    async def add(
        self, caller: Caller, name: str, value: Any, audiences: Sequence[str], project: str | None
    ) -> SecretInfo:
        """Stores a new secret; its id is the reference. Raises BadInput, Forbidden, TooLarge."""
        _check_keeper(caller)
        body = {"organisation": caller.organisation, "project": project, "name": name, "version": 1}
        body |= self._sealed(caller, value, audiences)
        id = new_id()
        await self._documents.create(SECRETS.name, id, body)
        return _info(id, body)

    async def replace(
        self, caller: Caller, id: str, value: Any, audiences: Sequence[str], *, expected: int
    ) -> SecretInfo:
        """A new value under the same reference. Raises PreconditionFailed unless `expected` is the current version."""
        _check_keeper(caller)
        while True:
            stored = await self._own(caller, id)
            if stored.body["version"] != expected:
                raise PreconditionFailed
            body = {**stored.body, "version": expected + 1, **self._sealed(caller, value, audiences)}
            try:
                await self._documents.replace(SECRETS.name, id, body, stored.version)
            except VersionConflict:
                continue  # rotation changes the document and not the version
            return _info(id, body)

    async def get(self, caller: Caller, id: str) -> SecretInfo:
        """What may be known of a secret. Raises NotFound."""
        if caller.job is not None:
            raise Forbidden
        return _info(id, (await self._own(caller, id)).body)

    async def list(
        self, caller: Caller, project: str | None, *, after: str | None, limit: int
    ) -> tuple[list[SecretInfo], str | None]:
        """A page of the organisation's secrets without their values, by name, and where the next one begins."""
        _check_keeper(caller)
        equals: dict[str, Any] = {"organisation": caller.organisation}
        if project is not None:
            equals["project"] = project
        page = await self._documents.search(
            SECRETS.name, Where(equals=equals), sort=("name",), limit=limit, after=after, fresh=after is None
        )
        return [_info(hit.id, hit.body) for hit in page.hits], page.next

    async def delete(self, caller: Caller, id: str) -> None:
        """Raises NotFound."""
        _check_keeper(caller)
        await self._own(caller, id)
        with contextlib.suppress(DocumentMissing):
            await self._documents.delete(SECRETS.name, id)

    async def reveal(self, caller: Caller, id: str) -> Any:
        """The value, for a service among the audiences that acts for the secret's organisation.

        A narrowed token (bound to job and fence, or with scopes) reveals only what it names as `secret:{id}` in them.
        Raises NotFound, Forbidden, LostKey.
        """
        stored = await self._own(caller, id)
        narrowed = caller.job is not None or bool(caller.scopes)
        named = not narrowed or f"secret:{id}" in caller.scopes
        if caller.service not in stored.body["audiences"] or not named:
            self._log.warning("secret_refused", reference=id, caller=caller.service, job=caller.job)
            raise Forbidden(f"this one is not meant for {caller.service}", field="id", value=id)
        self._log.info(
            "secret_revealed",
            reference=id,
            caller=caller.service,
            organisation=caller.organisation,
            job=caller.job,
            fence=caller.fence,
        )
        return self._box.open(stored.body["cipher"])

    async def rotate(self) -> int:
        """Puts every secret that is under an older key under the first one; returns how many."""
        where = Where(differs={"encrypted_with": self._box.fingerprint})
        rotated, after = 0, None
        while True:
            page = await self._documents.search(SECRETS.name, where, limit=PAGE, after=after, fresh=after is None)
            for hit in page.hits:
                rotated += await self._rotate_one(hit)
            if (after := page.next) is None:
                return rotated

    async def _rotate_one(self, hit: Stored) -> bool:
        """Whether it could be; one whose key is lost stays as it is."""
        try:
            cipher = await asyncio.to_thread(self._box.rotate, hit.body["cipher"])
        except LostKey as error:
            self._log.error("secret_key_lost", reference=hit.id, message=error.message)
            return False
        body = {**hit.body, "cipher": cipher, "encrypted_with": self._box.fingerprint}
        with contextlib.suppress(VersionConflict, DocumentMissing):
            await self._documents.replace(SECRETS.name, hit.id, body, hit.version)
            return True
        return False

    async def rotate_forever(self, pause_s: float) -> None:
        """Looks now and then for what a change of the keys has left."""
        while True:
            try:
                await self.rotate()
            except Studio9Error as error:
                self._log.warning("rotation_failed", message=error.message)
            await asyncio.sleep(pause_s)

    def _sealed(self, caller: Caller, value: Any, audiences: Sequence[str]) -> dict[str, Any]:
        unknown = set(audiences) - AUDIENCES
        if unknown or not audiences:
            raise BadInput(
                "audiences are the services that may read it", field="audiences", fix=", ".join(sorted(AUDIENCES))
            )
        cipher = self._box.seal(value)
        if len(cipher) > MAX_VALUE:
            raise TooLarge(f"a secret is at most {MAX_VALUE} bytes encrypted", field="value")
        return {
            "audiences": sorted(set(audiences)),
            "cipher": cipher,
            "encrypted_with": self._box.fingerprint,
            "updated_at": format_time(self._clock.now()),
            "updated_by": caller.service,
        }

    async def _own(self, caller: Caller, id: str) -> Stored:
        found = (await self._documents.get_many([(SECRETS.name, id)]))[0]
        if found is None or found.body["organisation"] != caller.organisation:
            raise NotFound(f"there is no secret {id}", field="id", value=id)
        return found


def _info(id: str, body: dict[str, Any]) -> SecretInfo:
    return SecretInfo(id=id, **{key: value for key, value in body.items() if key in SecretInfo.model_fields})


def _check_keeper(caller: Caller) -> None:
    if caller.service not in _KEEPERS or caller.job is not None:
        raise Forbidden(f"{caller.service} does not keep secrets")
    if caller.organisation == SYSTEM:
        raise Forbidden("a secret belongs to an organisation; call for one")
