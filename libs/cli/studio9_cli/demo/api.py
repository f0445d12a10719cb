"""A small client of Baile's public API, as a user's script would have it: plain HTTP with a bearer token."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

AGAIN_S = 0.5
"""Before a lost connection is made again."""


class ApiError(Exception):
    """Baile refused a request; the message is its own."""

    def __init__(self, method: str, path: str, status: int, message: str) -> None:
        super().__init__(f"{method} {path} answered {status}: {message}")
        self.status = status


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event."""

    id: str
    event: str
    data: dict[str, Any]


class Api:
    """`base` is Baile's address, such as http://127.0.0.1:20016; for `patience_s` it may be away. `token`: a user's."""

    def __init__(self, base: str, *, patience_s: float = 10.0, token: str = "") -> None:
        self._http = httpx.AsyncClient(base_url=base, timeout=60, limits=httpx.Limits(max_connections=16))
        self._token = token
        self._patience_s = patience_s

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """The JSON answer of one request. Raises ApiError."""
        response = await self._answer(method, path, **options)
        return response.json() if response.content else None

    async def text(self, path: str) -> str:
        """The answer to GET as text. Raises ApiError."""
        return (await self._answer("GET", path)).text

    async def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer of one request; ApiError for anything but 2xx.

        While there is patience a request that did not reach the server is sent again, and one that only reads also
        when the connection broke before the answer was there.
        """
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        harmless: type[httpx.TransportError] = httpx.TransportError if method == "GET" else httpx.ConnectError
        end = time.monotonic() + self._patience_s
        while True:
            try:
                response = await self._http.request(method, path, headers=headers, **options)
                break
            except harmless:
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(AGAIN_S)
        if not response.is_success:
            try:
                body = response.json()
                message = str(body.get("message") or body.get("detail") or body)
            except ValueError:
                message = response.text[:200]
            raise ApiError(method, path, response.status_code, message)
        return response

    async def get(self, path: str, **parameters: Any) -> Any:
        return await self.call("GET", path, params=parameters)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self.call("POST", path, json=body)

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return await self.call("PUT", path, json=body)

    async def everything(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All items of a paged list."""
        items: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = await self.get(path, page=page, page_size=500, **parameters)
            items += answer["data"]
            if len(items) >= answer["count"] or not answer["data"]:
                return items
            page += 1

    async def sign_in(self, username: str, password: str) -> None:
        answer = await self.post("/v2.0/signin", {"username": username, "password": password})
        self._token = answer["access_token"]

    async def upload_picture(self, album: str, name: str, content: bytes) -> dict[str, Any]:
        files = {"file": (f"{name}.png", content, "image/png")}
        answer = await self.call("POST", f"/v2.0/albums/{album}/uploadPicture", files=files, data={"filename": name})
        return dict(answer)

    async def upload_labels(self, album: str, csv: str) -> None:
        files = {"file": ("labels.csv", csv.encode(), "text/csv")}
        await self.call("POST", f"/v2.0/albums/{album}/uploadLabels", files=files)

    async def events(self) -> AsyncIterator[ServerEvent]:
        """The organisation's server-sent events from now on. A broken connection is made again, from the last event."""
        last = ""
        while True:
            with suppress(httpx.TransportError):
                async for event in self._stream(last):
                    last = event.id or last
                    yield event
            await asyncio.sleep(AGAIN_S)

    async def _stream(self, last: str) -> AsyncIterator[ServerEvent]:
        """Those of one connection; ends when it does. Raises httpx.TransportError."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = last
        async with self._http.stream("GET", "/v1/events", headers=headers, timeout=None) as response:
            response.raise_for_status()
            fields: dict[str, str] = {}
            async for line in response.aiter_lines():
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                elif fields.get("data"):
                    event = fields.get("event", "message")
                    yield ServerEvent(fields.get("id", ""), event, json.loads(fields["data"]))
                    fields = {}
                else:
                    fields = {}
