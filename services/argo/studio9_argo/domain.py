"""An entry's life: its place, its versions, its history, what must still be announced. Pure functions."""

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from studio9_common.contracts.configuration import SYSTEM, Entry, Past, Scope
from studio9_common.contracts.messages import ConfigChanged
from studio9_common.errors import BadInput, Conflict, Forbidden, PreconditionFailed, Studio9Error, TooLarge
from studio9_common.tokens import Caller

MAX_VALUE = 32 * 1024
"""Bytes of a value in JSON."""
MAX_HISTORY = 50
MAX_HISTORY_BYTES = 128 * 1024
"""Earlier versions kept in an entry; the oldest go first."""

_SERVICE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_WRITERS = frozenset({"baile", "studio9"})
"""Services that write any key; every service writes its own."""


class PreconditionRequired(Studio9Error):
    """A change names the version that it replaces; send If-Match with it, or `If-None-Match: *` for a new entry."""

    status = 428
    code = "precondition_required"


class EntryExists(Conflict):
    """There is a value here already; read it and send its version in If-Match."""

    code = "entry_exists"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is. `organisation` is `system` for the installation's."""

    scope: Scope
    organisation: str
    project: str | None
    service: str
    key: str

    @property
    def id(self) -> str:
        """The document's id: the same place has the same id, so there is never a second entry."""
        return "/".join((self.scope, self.organisation, self.project or "-", self.service, self.key))


@dataclass(frozen=True, slots=True)
class Notice:
    """A change that must be announced; `id` becomes the message's."""

    id: str
    version: int
    deleted: bool
    time: str


@dataclass(frozen=True, slots=True)
class Setting:
    """An entry with its history and outbox, as stored."""

    place: Place
    version: int
    value: Any
    deleted: bool
    updated_at: str
    updated_by: str
    history: tuple[Past, ...] = ()
    outbox: tuple[Notice, ...] = ()

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        place = Place(body["scope"], body["organisation"], body.get("project"), body["service"], body["key"])
        return cls(
            place,
            body["version"],
            body.get("value"),
            body["deleted"],
            body["updated_at"],
            body["updated_by"],
            tuple(Past.model_validate(past) for past in body.get("history") or ()),
            tuple(Notice(**notice) for notice in body.get("outbox") or ()),
        )

    def body(self) -> dict[str, Any]:
        """The stored form."""
        return {
            **asdict(self.place),
            "version": self.version,
            "value": self.value,
            "deleted": self.deleted,
            "updated_at": self.updated_at,
            "updated_by": self.updated_by,
            "history": [past.model_dump() for past in self.history],
            "outbox": [asdict(notice) for notice in self.outbox],
            "outbox_since": min((notice.time for notice in self.outbox), default=None),
        }

    def entry(self) -> Entry:
        """What callers see."""
        return Entry(
            **asdict(self.place),
            version=self.version,
            value=self.value,
            deleted=self.deleted,
            updated_at=self.updated_at,
            updated_by=self.updated_by,
        )

    def announced(self, versions: frozenset[int]) -> Self:
        """Without the notices that have been published."""
        return replace(self, outbox=tuple(notice for notice in self.outbox if notice.version not in versions))


def place_of(caller: Caller, scope: Scope, project: str | None, service: str, key: str) -> Place:
    """The place that a caller means. Its organisation comes from the caller alone. Raises BadInput, Forbidden."""
    if not _SERVICE.fullmatch(service):
        raise BadInput("a service or job type is named in [a-z0-9_.-]", field="service", value=service)
    if not _KEY.fullmatch(key):
        raise BadInput("a key is named in [A-Za-z0-9_.:-]", field="key", value=key)
    if scope == "installation":
        return Place(scope, SYSTEM, None, service, key)
    if caller.organisation == SYSTEM:
        raise Forbidden("an organisation's entries are reached by a call made for it", field="scope", value=scope)
    if (scope == "project") is not bool(project):
        raise BadInput("scope `project` names its project, the others name none", field="project")
    return Place(scope, caller.organisation, project, service, key)


def check_writer(caller: Caller, place: Place) -> None:
    """Raises Forbidden unless the caller may change this entry."""
    own = caller.service == place.service or (caller.service == "orion" and place.service.startswith("job."))
    narrowed = caller.job is not None or bool(caller.scopes)
    if narrowed or not (own or caller.service in _WRITERS):
        raise Forbidden(f"{caller.service} does not write {place.service}/{place.key}")
    if place.scope == "installation" and caller.organisation != SYSTEM:
        raise Forbidden("the installation's entries are changed by the system alone", field="scope")


def changed(
    current: Setting | None,
    place: Place,
    value: Any,
    *,
    expected: int | None,
    deleted: bool,
    now: str,
    by: str,
    notice_id: str,
) -> Setting:
    """The entry after a change, with its notice in the outbox.

    `expected`: the version that is replaced, None for an entry that must not exist (a deleted one may come back).
    Raises PreconditionFailed, EntryExists, TooLarge.
    """
    if expected is None and current is not None and not current.deleted:
        raise EntryExists
    if expected is not None and (current is None or current.version != expected):
        raise PreconditionFailed(f"{place.service}/{place.key} has another version than {expected}")
    size = len(json.dumps(value).encode())
    if size > MAX_VALUE:
        raise TooLarge(f"a value is at most {MAX_VALUE} bytes, not {size}", field="value")
    version = 1 if current is None else current.version + 1
    notice = Notice(notice_id, version, deleted, now)
    outbox = (*(current.outbox if current else ()), notice)
    return Setting(place, version, value, deleted, now, by, _history(current), outbox)


def _history(current: Setting | None) -> tuple[Past, ...]:
    if current is None:
        return ()
    past = Past(
        version=current.version,
        value=current.value,
        deleted=current.deleted,
        updated_at=current.updated_at,
        updated_by=current.updated_by,
    )
    kept: list[Past] = []
    size = 0
    for item in (past, *reversed(current.history)):
        size += len(item.model_dump_json())
        if len(kept) == MAX_HISTORY or (kept and size > MAX_HISTORY_BYTES):
            break
        kept.append(item)
    return tuple(reversed(kept))


def message_of(place: Place, notice: Notice) -> ConfigChanged:
    """The announcement of a change."""
    return ConfigChanged(
        scope=place.scope,
        project=place.project,
        service=place.service,
        key=place.key,
        version=notice.version,
        deleted=notice.deleted,
    )
