"""A service's live configuration: what Argo holds for it, known also while Argo is away.

The last known values are kept in a file, so that a service starts with Argo down. `config.changed` brings changes at
once; a look once a minute finds what a lost message would have told. A service's own addresses and credentials never
come from here.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from studio9_common.bus.port import Bus, Delivery, Queue
from studio9_common.bus.subscriber import Subscriber, each
from studio9_common.clients.argo import ArgoClient
from studio9_common.contracts.configuration import SYSTEM, Entry
from studio9_common.contracts.envelope import decode
from studio9_common.contracts.messages import ConfigChanged
from studio9_common.errors import NotFound, Studio9Error
from studio9_common.ids import new_id
from studio9_common.logs import logger
from studio9_common.tasks import end

REREAD_S = 60.0
QUEUE_LIFE_S = 600
"""An instance's own queue is removed after so many seconds without it."""

Listener = Callable[[Entry], Awaitable[None]]
_Place = tuple[str, str, str | None, str, str]


def _place(entry: Entry) -> _Place:
    return entry.scope, entry.organisation, entry.project, entry.service, entry.key


class LiveConfig:
    """The values of the `watched` services and job types (`taurus`, `job.train`), by default the service's own.

    `schemas` (key → JSON schema) are registered in Argo as the types of the service's own keys. `file` keeps the last
    known values; they hold no secrets. `owner` begins the names of its queues, where that is not
    the service.
    """

    def __init__(
        self,
        argo: ArgoClient,
        bus: Bus,
        *,
        service: str,
        file: Path,
        watched: Sequence[str] | None = None,
        schemas: Mapping[str, Mapping[str, Any]] | None = None,
        reread_s: float = REREAD_S,
        owner: str = "",
    ) -> None:
        self._argo, self._file, self._service = argo, file, service
        self._watched = tuple(watched or (service,))
        self._schemas = dict(schemas or {})
        self._reread_s = reread_s
        self._entries: dict[_Place, Entry] = {}
        self._listeners: list[Listener] = []
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        queue = Queue(
            f"{owner or service}.config.{new_id()}.v1",
            bindings=("config.changed",),
            expires_s=QUEUE_LIFE_S,
            transient=True,
        )
        self._subscriber = Subscriber(bus, queue, each(self._on_message))
        self._log = logger(service)
        self.current = False
        """Whether Argo has been read since the start, so that the values are not only the last known ones."""

    # --- values -------------------------------------------------------------------------------------------------

    def get(
        self,
        key: str,
        default: Any = None,
        *,
        service: str | None = None,
        organisation: str = SYSTEM,
        project: str | None = None,
    ) -> Any:
        """The nearest value: the project's, else the organisation's, else the installation's, else `default`."""
        name = service or self._service
        for place in (
            ("project", organisation, project, name, key),
            ("organisation", organisation, None, name, key),
            ("installation", SYSTEM, None, name, key),
        ):
            entry = self._entries.get(place)
            if entry is not None:
                return entry.value
        return default

    def entries(self, prefix: str = "", *, service: str | None = None) -> list[Entry]:
        """All entries of a service whose key begins with `prefix`, of every scope and organisation."""
        name = service or self._service
        return [e for e in self._entries.values() if e.service == name and e.key.startswith(prefix)]

    def on_change(self, listener: Listener) -> None:
        """Calls `listener(entry)` for each entry that is new, changed or deleted from now on. It must not raise;
        what it raises is logged."""
        self._listeners.append(listener)

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Loads the last known values, reads Argo if it can be reached, and follows changes from now on."""
        self._entries = {_place(entry): entry for entry in await asyncio.to_thread(_load, self._file)}
        await self._subscriber.start()
        await self._reread()
        self._task = asyncio.create_task(self._reread_forever(), name=f"{self._service}-config")

    async def stop(self) -> None:
        await self._subscriber.stop()
        if self._task is not None:
            await end(self._task)
            self._task = None

    async def _reread_forever(self) -> None:
        while True:
            await asyncio.sleep(self._reread_s if self.current else min(5.0, self._reread_s))
            await self._reread()

    async def _reread(self) -> None:
        try:
            for key, schema in list(self._schemas.items()):
                await self._argo.register(self._service, key, schema)
                del self._schemas[key]
            await self.refresh()
        except Studio9Error as error:
            self._log.warning("configuration_not_read", message=error.message, known=len(self._entries))

    async def refresh(self) -> None:
        """Reads everything again. Raises Unavailable."""
        async with self._lock:
            found: dict[_Place, Entry] = {}
            for service in self._watched:
                async for entry in self._argo.list(service=service):
                    found[_place(entry)] = entry
            gone = [
                entry.model_copy(update={"deleted": True, "value": None})
                for place, entry in self._entries.items()
                if place not in found
            ]
            self.current = True
            await self._take([*found.values(), *gone])

    async def _on_message(self, delivery: Delivery) -> None:
        envelope = decode(delivery.body)
        change = envelope.data
        if not isinstance(change, ConfigChanged) or change.service not in self._watched:
            return
        async with self._lock:
            try:
                entry = await self._argo.get_at(
                    change.scope,
                    change.service,
                    change.key,
                    organisation=envelope.organisation,
                    project=change.project,
                )
            except NotFound:
                return
            await self._take([entry])

    async def _take(self, entries: Sequence[Entry]) -> None:
        """Keeps what is newer than what is known, saves, and tells the listeners."""
        changed: list[Entry] = []
        for entry in entries:
            known = self._entries.get(_place(entry))
            if known is not None and known.version >= entry.version and known.deleted == entry.deleted:
                continue
            if entry.deleted and known is None:
                continue
            if entry.deleted:
                del self._entries[_place(entry)]
            else:
                self._entries[_place(entry)] = entry
            changed.append(entry)
        if not changed:
            return
        await asyncio.to_thread(_save, self._file, list(self._entries.values()))
        for entry in changed:
            for listener in self._listeners:
                try:
                    await listener(entry)
                except Exception:
                    self._log.exception("configuration_listener_failed", entry_service=entry.service, key=entry.key)


def _load(file: Path) -> list[Entry]:
    """The entries of a file; none where there is no usable one."""
    with contextlib.suppress(OSError, ValueError, ValidationError):
        return [Entry.model_validate(item) for item in json.loads(file.read_text())]
    return []


def _save(file: Path, entries: Sequence[Entry]) -> None:
    """Replaces the file in one step, for the owner's eyes only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        json.dump([entry.model_dump() for entry in entries], opened)
        opened.flush()
        os.fsync(opened.fileno())
    part.replace(file)
