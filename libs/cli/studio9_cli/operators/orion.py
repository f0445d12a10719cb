"""Orion's operators' API, as the commands call it. Answers are JSON as Orion gives it."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from studio9_common.errors import Unavailable
from studio9_common.http.client import error_of

TIMEOUT_S = 30.0


class OrionApi:
    """Calls Orion at an address. `token` makes or holds the token of the operator; `organisation`: only its jobs."""

    def __init__(self, url: str, token: Callable[[], str], *, organisation: str | None = None) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S)
        self._token, self._organisation = token, organisation

    async def close(self) -> None:
        await self._http.aclose()

    # --- jobs --------------------------------------------------------------------------------------------------------

    async def jobs(self, *, waiting: bool = False, **wanted: Any) -> list[dict[str, Any]]:
        """The newest first; `waiting`: those that wait for a slot, in the order of their coming."""
        limit = wanted.pop("limit")
        path = "/v1/queue" if waiting else "/v1/jobs"
        return await self._pages(path, {**wanted, "organisation": self._organisation}, limit)

    async def job(self, id: str, *, lines: int) -> dict[str, Any]:
        """All that is known of a job, with its last log lines as `logs`."""
        found = await self._get(f"/v1/jobs/{_part(id)}")
        logs = await self._get(f"/v1/jobs/{_part(id)}/logs", {"lines": lines}) if lines else {"items": []}
        return {**found, "logs": logs["items"]}

    async def events(self, id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._get(f"/v1/jobs/{_part(id)}/events"))["items"]
        return found

    async def cancel(self, id: str, by: str) -> dict[str, Any]:
        return await self._call("POST", f"/v1/jobs/{_part(id)}/cancel", json={"requested_by": by})

    async def retry(self, id: str) -> dict[str, Any]:
        return await self._call("POST", f"/v1/jobs/{_part(id)}/retry")

    async def priority(self, id: str, priority: int, by: str) -> dict[str, Any]:
        body = {"priority": priority, "requested_by": by}
        return await self._call("PUT", f"/v1/jobs/{_part(id)}/priority", json=body)

    # --- workers -----------------------------------------------------------------------------------------------------

    async def workers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._get("/v1/workers"))["items"]
        return found

    async def worker(self, id: str) -> dict[str, Any]:
        return await self._get(f"/v1/workers/{_part(id)}")

    async def drain(self, id: str) -> dict[str, Any]:
        return await self._call("POST", f"/v1/workers/{_part(id)}/drain")

    async def resume(self, id: str) -> dict[str, Any]:
        return await self._call("POST", f"/v1/workers/{_part(id)}/resume")

    async def history(self, id: str, hours: float) -> list[dict[str, Any]]:
        """What its machine measured, a document a minute, the oldest first."""
        found: list[dict[str, Any]] = (await self._get(f"/v1/workers/{_part(id)}/history", {"hours": hours}))["items"]
        return found

    async def remove(self, id: str, by: str, *, force: bool) -> dict[str, Any]:
        parameters = {"requested_by": by, "force": force}
        return await self._call("DELETE", f"/v1/workers/{_part(id)}", params=parameters)

    # --- joining -----------------------------------------------------------------------------------------------------

    async def invite(self, worker: str, *, labels: list[str], hours: float, by: str) -> dict[str, Any]:
        """A join token, shown this once."""
        body = {"worker": worker, "labels": labels, "hours": hours, "requested_by": by}
        return await self._call("POST", "/v1/joins", json=body)

    async def invited(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._get("/v1/joins"))["items"]
        return found

    async def revoke(self, worker: str, by: str) -> dict[str, Any]:
        return await self._call("DELETE", f"/v1/joins/{_part(worker)}", params={"requested_by": by})

    # --- dead letters ------------------------------------------------------------------------------------------------

    async def dead_letters(self, *, queue: str | None, limit: int) -> dict[str, Any]:
        """`items`, the oldest first, and how many there are in all (`total`)."""
        return await self._get("/v1/dead-letters", {"queue": queue, "limit": limit})

    async def dead_letter(self, id: str) -> dict[str, Any]:
        return await self._get(f"/v1/dead-letters/{_part(id)}")

    async def replay(self, id: str) -> dict[str, Any]:
        return await self._call("POST", f"/v1/dead-letters/{_part(id)}/replay")

    async def drop(self, id: str) -> dict[str, Any]:
        return await self._call("DELETE", f"/v1/dead-letters/{_part(id)}")

    # --- how ---------------------------------------------------------------------------------------------------------

    async def _pages(self, path: str, wanted: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        after: str | None = None
        while len(items) < most:
            page = await self._get(path, {**wanted, "limit": min(500, most - len(items)), "after": after})
            items += page["items"]
            after = page["next"]
            if after is None or not page["items"]:
                break
        return items

    async def _get(self, path: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        given = {name: value for name, value in (parameters or {}).items() if value is not None}
        return await self._call("GET", path, params=given)

    async def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token()}"}
        try:
            response = await self._http.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._http.base_url} cannot be reached: {type(error).__name__}") from error
        if not response.is_success:
            raise error_of(response)
        found: dict[str, Any] = response.json()
        return found


def _part(id: str) -> str:
    return quote(id, safe=":")
