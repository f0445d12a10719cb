"""Entries and their types on the document store: resolve, set, delete, list, history."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from studio9_argo.collections import ENTRIES, SCHEMAS
from studio9_argo.domain import Place, Setting, changed, check_writer, place_of
from studio9_argo.types import check_schema, check_value, choose
from studio9_common.contracts.configuration import SYSTEM, Entry, Past, Scope
from studio9_common.documents.port import DocumentMissing, Documents, Stored, VersionConflict, Where
from studio9_common.errors import BadInput, Forbidden, NotFound
from studio9_common.ids import new_id
from studio9_common.times import Clock, format_time
from studio9_common.tokens import Caller

Announce = Callable[[str], None]
"""Called with the id of an entry that has something to announce; returns at once."""


class Handlers:
    """The operations behind the configuration routes."""

    def __init__(self, documents: Documents, clock: Clock, announce: Announce) -> None:
        self._documents, self._clock, self._announce = documents, clock, announce

    async def resolve(self, caller: Caller, service: str, key: str, project: str | None) -> Entry:
        """The nearest value: the project's, else the organisation's, else the installation's. Raises NotFound."""
        _check_reader(caller)
        places = [place_of(caller, "installation", None, service, key)]
        if caller.organisation != SYSTEM:
            places.insert(0, place_of(caller, "organisation", None, service, key))
            if project is not None:
                places.insert(0, place_of(caller, "project", project, service, key))
        for stored in await self._documents.get_many([(ENTRIES.name, place.id) for place in places]):
            if stored is not None and not stored.body["deleted"]:
                return Setting.of(stored.body).entry()
        raise NotFound(f"there is no value for {service}/{key}", field="key", value=key)

    async def get(self, caller: Caller, place: Place) -> Entry:
        """The value of exactly this place, also a deleted one. Raises NotFound."""
        _check_reader(caller)
        return Setting.of((await self._stored(place)).body).entry()

    async def history(self, caller: Caller, place: Place) -> list[Past]:
        """Earlier versions, the oldest first. Raises NotFound."""
        _check_reader(caller)
        return list(Setting.of((await self._stored(place)).body).history)

    async def set(self, caller: Caller, place: Place, value: Any, *, expected: int | None) -> Entry:
        """Raises BadInput (the type refuses it), EntryExists, PreconditionFailed, TooLarge."""
        check_writer(caller, place)
        check_value(await self._schema(place.service, place.key), place.service, place.key, value)
        return await self._change(caller, place, value, expected=expected, deleted=False)

    async def delete(self, caller: Caller, place: Place, *, expected: int) -> Entry:
        """Leaves a deleted entry behind, with its history. Raises PreconditionFailed."""
        check_writer(caller, place)
        return await self._change(caller, place, None, expected=expected, deleted=True)

    async def list(
        self,
        caller: Caller,
        *,
        service: str | None,
        prefix: str | None,
        scope: Scope | None,
        after: str | None,
        limit: int,
    ) -> tuple[list[Entry], str | None]:
        """Entries that are not deleted: all of them for the system, else the installation's and the caller's own."""
        _check_reader(caller)
        equals: dict[str, Any] = {"deleted": False}
        if service is not None:
            equals["service"] = service
        if scope is not None:
            equals["scope"] = scope
        if caller.organisation != SYSTEM:
            equals["organisation"] = (SYSTEM, caller.organisation)
        where = Where(equals=equals, prefix={"key": prefix} if prefix else {})
        page = await self._documents.search(
            ENTRIES.name, where, sort=("service", "key"), limit=limit, after=after, fresh=after is None
        )
        return [Setting.of(hit.body).entry() for hit in page.hits], page.next

    async def register(self, caller: Caller, service: str, key: str, schema: dict[str, Any]) -> None:
        """Registers the type of a key (`stream_*`: of all keys that begin so). Raises BadInput, Forbidden."""
        if caller.organisation != SYSTEM or caller.job is not None:
            raise Forbidden("types are registered for the whole installation")
        check_writer(caller, place_of(caller, "installation", None, service, key.removesuffix("*")))
        check_schema(schema)
        body = {
            "service": service,
            "key": key,
            "schema": schema,
            "updated_at": format_time(self._clock.now()),
            "updated_by": caller.service,
        }
        await self._documents.put(SCHEMAS.name, f"{service}/{key}", body)

    async def _schema(self, service: str, key: str) -> Any:
        found = await self._documents.search(SCHEMAS.name, Where(equals={"service": service}), limit=1_000, fresh=True)
        registered = [(hit.body["service"], hit.body["key"], hit.body["schema"]) for hit in found.hits]
        return choose(registered, service, key)

    async def _stored(self, place: Place) -> Stored:
        try:
            return await self._documents.get(ENTRIES.name, place.id)
        except DocumentMissing:
            raise NotFound(f"there is no value at {place.id}", field="key", value=place.key) from None

    async def _change(self, caller: Caller, place: Place, value: Any, *, expected: int | None, deleted: bool) -> Entry:
        """Compare-and-set with the notice in the same write; then the notice goes out."""
        if deleted and expected is None:
            raise BadInput("a deletion names the version", field="version")
        notice_id = new_id()
        while True:
            stored = (await self._documents.get_many([(ENTRIES.name, place.id)]))[0]
            current = Setting.of(stored.body) if stored else None
            now = _later(self._clock.now(), current)
            setting = changed(
                current,
                place,
                value,
                expected=expected,
                deleted=deleted,
                now=now,
                by=caller.service,
                notice_id=notice_id,
            )
            try:
                if stored is None:
                    await self._documents.create(ENTRIES.name, place.id, setting.body())
                else:
                    await self._documents.replace(ENTRIES.name, place.id, setting.body(), stored.version)
            except (VersionConflict, DocumentMissing):
                continue  # changed, or only its outbox was cleared: look again, `expected` decides
            self._announce(place.id)
            return setting.entry()


def _check_reader(caller: Caller) -> None:
    if caller.job is not None:
        raise Forbidden("an attempt's token reveals its secrets and reads nothing else")


def _later(now: datetime, current: Setting | None) -> str:
    """Now, but never before the version that is replaced: another replica's clock may be ahead."""
    text = format_time(now)
    return text if current is None else max(text, current.updated_at)
