"""Requests of one service to another over the network: kept connections, parsed by compiled code.

Between services hundreds of requests a second are usual, and a general client takes several times as long for one.
"""

from collections.abc import Mapping
from typing import Any

import aiohttp
import httpx
from pydantic_core import to_json
from yarl import URL

CONNECTIONS = 64
KEPT_S = 4.0
"""How long a connection waits for its next request: less than uvicorn (5 s) keeps it."""


class Network:
    """Calls one address. Answers are httpx's, as those of an app in the same process are; so are its errors."""

    def __init__(self, base_url: str, *, timeout_s: float) -> None:
        self._base = base_url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=timeout_s, sock_connect=timeout_s, sock_read=timeout_s
        )
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        json: Any = None,
    ) -> httpx.Response:
        """The whole answer. Raises httpx.TransportError where there is none; None in `params` is left out."""
        if json is not None:
            content = to_json(json)
            headers = {"Content-Type": "application/json", **headers}
        url = httpx.URL(self._base + path, params=params) if params else httpx.URL(self._base + path)
        try:
            async with self._open().request(
                method, URL(str(url), encoded=True), headers=headers, data=content, allow_redirects=False
            ) as answer:
                body = await answer.read()
                return httpx.Response(answer.status, headers=list(answer.headers.items()), content=body)
        except TimeoutError as error:
            raise httpx.TimeoutException(type(error).__name__) from error
        except (aiohttp.ClientError, OSError) as error:
            raise httpx.NetworkError(type(error).__name__) from error

    async def aclose(self) -> None:
        """Closes what is kept."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEPT_S),
                timeout=self._timeout,
                headers={"Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent",),
                trust_env=False,
            )
        return self._session
