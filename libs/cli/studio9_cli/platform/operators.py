"""The operators' side of a running platform: the services behind Baile, with service tokens, on loopback only.

`studio9 up` serves each service's own API under `/{service}` on a second port. Whoever can read the state folder's
secrets is the operator.
"""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from fastapi import FastAPI

from studio9_cli.platform.state import Running, StateFolder
from studio9_common.http.client import ServiceClient
from studio9_common.tokens import TokenKeys

OPERATOR = "operator"


def operators_app(services: dict[str, FastAPI]) -> FastAPI:
    """One app with every service's API under its name."""
    app = FastAPI(title="Studio9 operators", docs_url=None, redoc_url=None, openapi_url=None)
    for name, service in services.items():
        app.mount(f"/{name}", service)
    return app


class Operators:
    """Calls a running platform's services. A context manager."""

    def __init__(self, running: Running, keys: TokenKeys) -> None:
        self.running, self._keys = running, keys
        self._clients: dict[str, ServiceClient] = {}

    @classmethod
    def of(cls, state: Path) -> Self:
        """Of the platform on this state folder. Raises NotRunning."""
        folder = StateFolder(state)
        return cls(folder.running(), TokenKeys(folder.secrets().token_keys))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.close()

    def service(self, name: str) -> ServiceClient:
        """The client of one service."""
        if name not in self._clients:
            address = f"{self.running.operators}/{name}"
            self._clients[name] = ServiceClient(address, audience=name, service=OPERATOR, keys=self._keys)
        return self._clients[name]

    async def sql(self, organisation: str, statement: str) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of one reading statement on the organisation's predictions."""
        answer = await self._post("pegasus", "/v1/query", organisation, {"sql": statement})
        return answer["columns"], answer["rows"]

    async def bootstrap_token(self) -> str:
        """A one-time token for the first user of an organisation."""
        answer = await self._post("platform", "/v1/bootstrap-tokens", "system", {})
        return str(answer["token"])

    async def organisation(self, name: str) -> str:
        """The id of an organisation. Raises NotFound."""
        response = await self.service("platform").request("GET", "/v1/organisations", params={"name": name})
        return str(response.json()["id"])

    async def notifications(self) -> int:
        """How many notifications Taurus has sent since this platform was made."""
        response = await self.service("taurus").request("GET", "/v1/status")
        return int(response.json()["notifications"])

    async def _post(self, service: str, path: str, organisation: str, body: dict[str, Any]) -> Any:
        response: httpx.Response = await self.service(service).request(
            "POST", path, organisation=organisation, json=body
        )
        return response.json()
