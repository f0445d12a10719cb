"""The client of Argo: configuration by scope, and references to secrets.

Calls are repeated with back-off while Argo or its store cannot be reached. `organisation` of a call is whose values
are read or written; `system` stands for the installation.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI

from studio9_common.clients.repeating import repeat
from studio9_common.contracts.configuration import SYSTEM, Entry, Past, Scope, SecretInfo
from studio9_common.errors import Conflict, NotFound, PreconditionFailed
from studio9_common.http.client import ServiceClient
from studio9_common.tokens import Caller, TokenSource


@dataclass(frozen=True, slots=True)
class _Bound:
    """A source whose tokens are bound to an attempt."""

    source: TokenSource
    job: str
    fence: int
    scopes: tuple[str, ...]

    async def token(self, caller: Caller, audience: str) -> str:
        bound = replace(caller, job=self.job, fence=self.fence, scopes=self.scopes)
        return await self.source.token(bound, audience)


class ArgoClient:
    """Calls Argo as `service`. `target` is its address, or its app in one process.

    `retry_s`: for how many seconds calls are repeated while Argo cannot be reached, then Unavailable is raised.
    """

    def __init__(
        self,
        target: str | FastAPI,
        *,
        service: str,
        keys: TokenSource,
        timeout_s: float = 10.0,
        retry_s: float = 10.0,
    ) -> None:
        self._http = ServiceClient(target, audience="argo", service=service, keys=keys, timeout_s=timeout_s)
        self._target, self._service, self._keys, self._timeout_s = target, service, keys, timeout_s
        self._retry_s = retry_s

    def for_attempt(self, job: str, fence: int, *secrets: str) -> "ArgoClient":
        """A client whose tokens are bound to an attempt, and open these secrets and nothing else; close it."""
        keys = _Bound(self._keys, job, fence, tuple(f"secret:{one}" for one in secrets))
        return ArgoClient(
            self._target, service=self._service, keys=keys, timeout_s=self._timeout_s, retry_s=self._retry_s
        )

    # --- values -------------------------------------------------------------------------------------------------

    async def get(self, service: str, key: str, *, organisation: str = SYSTEM, project: str | None = None) -> Entry:
        """The nearest value: the project's, else the organisation's, else the installation's. Raises NotFound."""
        return await self._entry("GET", service, key, {"project": project}, organisation)

    async def get_at(
        self,
        scope: Scope,
        service: str,
        key: str,
        *,
        organisation: str = SYSTEM,
        project: str | None = None,
    ) -> Entry:
        """The entry of exactly this scope, also a deleted one. Raises NotFound."""
        return await self._entry("GET", service, key, {"scope": scope, "project": project}, organisation)

    async def set(
        self,
        service: str,
        key: str,
        value: Any,
        *,
        scope: Scope,
        version: int | None,
        organisation: str = SYSTEM,
        project: str | None = None,
    ) -> Entry:
        """`version` is the one that is replaced, None for an entry that does not exist (or was deleted).

        Raises PreconditionFailed, Conflict (there is one already), BadInput (its type refuses the value).
        """
        headers = {"If-None-Match": "*"} if version is None else {"If-Match": f'"{version}"'}
        place = {"scope": scope, "project": project}

        async def attempt(doubt: bool) -> Entry:
            try:
                return await self._entry(
                    "PUT", service, key, place, organisation, headers, json={"value": value}, repeatable=False
                )
            except (Conflict, PreconditionFailed):
                found = await self._entry("GET", service, key, place, organisation) if doubt else None
                if found is not None and found.value == value and not found.deleted:
                    return found  # the first try had done it, only its answer was lost
                raise

        return await repeat(attempt, retry_s=self._retry_s)

    async def save(
        self,
        service: str,
        key: str,
        value: Any,
        *,
        scope: Scope,
        organisation: str = SYSTEM,
        project: str | None = None,
    ) -> Entry:
        """Sets the value whatever is there; nothing is changed where it is the same already."""
        while True:
            current = await self._current(scope, service, key, organisation, project)
            live = current is not None and not current.deleted
            if current is not None and live and current.value == value:
                return current
            version = current.version if current is not None and live else None
            try:
                return await self.set(
                    service,
                    key,
                    value,
                    scope=scope,
                    version=version,
                    organisation=organisation,
                    project=project,
                )
            except (Conflict, PreconditionFailed):
                continue

    async def remove(
        self, service: str, key: str, *, scope: Scope, organisation: str = SYSTEM, project: str | None = None
    ) -> None:
        """Deletes the value; what is not there stays so."""
        while True:
            current = await self._current(scope, service, key, organisation, project)
            if current is None or current.deleted:
                return
            place = {"scope": scope, "project": project}
            headers = {"If-Match": f'"{current.version}"'}
            try:
                await self._entry("DELETE", service, key, place, organisation, headers)
            except PreconditionFailed:
                continue

    async def list(
        self,
        *,
        service: str | None = None,
        prefix: str | None = None,
        scope: Scope | None = None,
        organisation: str = SYSTEM,
    ) -> AsyncIterator[Entry]:
        """Entries that are not deleted: for `system` those of all organisations, else the caller's and the
        installation's."""
        after: str | None = None
        while True:
            wanted = {"service": service, "prefix": prefix, "scope": scope, "after": after}
            response = await self._http.request(
                "GET",
                "/v1/config",
                organisation=organisation,
                retry_s=self._retry_s,
                params={name: value for name, value in wanted.items() if value is not None},
            )
            body = response.json()
            for item in body["items"]:
                yield Entry.model_validate(item)
            after = body.get("next")
            if after is None:
                return

    async def history(
        self,
        scope: Scope,
        service: str,
        key: str,
        *,
        organisation: str = SYSTEM,
        project: str | None = None,
    ) -> Sequence[Past]:
        """Earlier versions, the oldest first. Raises NotFound."""
        response = await self._http.request(
            "GET",
            f"{_path(service, key)}/history",
            organisation=organisation,
            retry_s=self._retry_s,
            params=_given({"scope": scope, "project": project}),
        )
        return [Past.model_validate(item) for item in response.json()["items"]]

    async def register(self, service: str, key: str, schema: Mapping[str, Any]) -> None:
        """Registers the JSON schema of a key (`stream_*`: of all keys that begin so)."""
        await self._http.request(
            "PUT",
            f"/v1/schemas/{quote(service, safe='')}/{quote(key, safe='*')}",
            retry_s=self._retry_s,
            json={"schema": schema},
        )

    # --- secrets ------------------------------------------------------------------------------------------------

    async def add_secret(
        self,
        name: str,
        value: str | dict[str, Any],
        *,
        audiences: Sequence[str],
        organisation: str,
        project: str | None = None,
    ) -> SecretInfo:
        """Stores a secret for the named services; its `id` is the reference to pass on."""
        body = {"name": name, "value": value, "audiences": list(audiences), "project": project}
        response = await self._http.request("POST", "/v1/secrets", organisation=organisation, json=body)
        return SecretInfo.model_validate(response.json())

    async def replace_secret(
        self,
        id: str,
        value: str | dict[str, Any],
        *,
        audiences: Sequence[str],
        version: int,
        organisation: str,
    ) -> SecretInfo:
        """A new value under the same reference. Raises PreconditionFailed, NotFound."""
        response = await self._http.request(
            "PUT",
            f"/v1/secrets/{quote(id, safe='')}",
            organisation=organisation,
            repeatable=False,
            headers={"If-Match": f'"{version}"'},
            json={"value": value, "audiences": list(audiences)},
        )
        return SecretInfo.model_validate(response.json())

    async def list_secrets(
        self, *, organisation: str, project: str | None = None, limit: int = 1_000
    ) -> AsyncIterator[SecretInfo]:
        """What may be known of an organisation's secrets, all of them by name; never their values. `limit`: how many
        are read at a time, at most 1,000."""
        after: str | None = None
        while True:
            response = await self._http.request(
                "GET",
                "/v1/secrets",
                organisation=organisation,
                retry_s=self._retry_s,
                params=_given({"project": project, "after": after, "limit": str(limit)}),
            )
            body = response.json()
            for item in body["items"]:
                yield SecretInfo.model_validate(item)
            after = body.get("next")
            if after is None:  # also from an Argo that knows no pages
                return

    async def reveal(self, id: str, *, organisation: str) -> Any:
        """The value, for a service among its audiences. Keep it in memory only. Raises NotFound, Forbidden."""
        response = await self._http.request(
            "POST",
            f"/v1/secrets/{quote(id, safe='')}/reveal",
            organisation=organisation,
            repeatable=True,
            retry_s=self._retry_s,
        )
        return response.json()["value"]

    async def delete_secret(self, id: str, *, organisation: str) -> None:
        """Raises NotFound."""
        await self._http.request(
            "DELETE", f"/v1/secrets/{quote(id, safe='')}", organisation=organisation, retry_s=self._retry_s
        )

    async def ping(self) -> None:
        """Raises Unavailable if Argo does not answer."""
        await self._http.ping()

    async def close(self) -> None:
        await self._http.close()

    # --- how ----------------------------------------------------------------------------------------------------

    async def _current(
        self, scope: Scope, service: str, key: str, organisation: str, project: str | None
    ) -> Entry | None:
        try:
            return await self.get_at(scope, service, key, organisation=organisation, project=project)
        except NotFound:
            return None

    async def _entry(
        self,
        method: str,
        service: str,
        key: str,
        place: Mapping[str, str | None],
        organisation: str,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Entry:
        response = await self._http.request(
            method,
            _path(service, key),
            organisation=organisation,
            headers=headers,
            retry_s=self._retry_s,
            params=_given(place),
            **options,
        )
        return Entry.model_validate(response.json())


def _path(service: str, key: str) -> str:
    return f"/v1/config/{quote(service, safe='')}/{quote(key, safe=':')}"


def _given(parameters: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value is not None}
