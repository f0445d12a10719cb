"""The base of typed clients between services: service tokens, retries of what may be repeated, typed errors.

Over the network or, in one process, through the ASGI transport: the same requests, the same tokens.
"""

from collections.abc import Mapping
from typing import Any

import httpx
from fastapi import FastAPI
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from studio9_common import errors
from studio9_common.errors import Studio9Error, Unavailable
from studio9_common.http.network import Network
from studio9_common.tokens import Caller, TokenSource
from studio9_common.tracing import current_traceparent

_BY_STATUS: dict[int, type[Studio9Error]] = {
    400: errors.BadInput,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    412: errors.PreconditionFailed,
    413: errors.TooLarge,
    415: errors.UnsupportedMedia,
    422: errors.BadInput,
}


def error_of(response: httpx.Response) -> Studio9Error:
    """The typed error of a failed response."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    detail = str(body.get("detail") or body.get("title") or f"HTTP {response.status_code}")
    kind = _BY_STATUS.get(response.status_code, Unavailable if response.status_code >= 500 else Studio9Error)
    return kind(detail, field=body.get("field"), value=body.get("value"), fix=body.get("fix"))


class ServiceClient:
    """Calls one service (`audience`) as another (`service`). `target` is its address, or its app in one process."""

    def __init__(
        self, target: str | FastAPI, *, audience: str, service: str, keys: TokenSource, timeout_s: float = 30.0
    ) -> None:
        self._audience, self._service, self._keys = audience, service, keys
        self._http: Network | httpx.AsyncClient
        if isinstance(target, str):
            self._http = Network(target, timeout_s=timeout_s)
        else:
            transport = httpx.ASGITransport(target, raise_app_exceptions=False)
            self._http = httpx.AsyncClient(transport=transport, base_url=f"http://{audience}", timeout=timeout_s)

    async def request(
        self,
        method: str,
        path: str,
        *,
        organisation: str = "system",
        repeatable: bool | None = None,
        headers: Mapping[str, str] | None = None,
        retry_s: float = 10.0,
        **options: Any,
    ) -> httpx.Response:
        """A response with a 2xx status; others raise the typed error.

        `repeatable` (by default what HTTP calls idempotent) requests are repeated on connection loss and 5xx, with
        back-off, for `retry_s` seconds; then Unavailable is raised.
        """
        again = method in {"GET", "HEAD", "PUT", "DELETE"} if repeatable is None else repeatable
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_delay(retry_s if again else 0),
            wait=wait_random_exponential(multiplier=0.1, max=2),
            reraise=True,
        )
        response: httpx.Response = await retrying(self._once, method, path, organisation, dict(headers or {}), options)
        return response

    async def _once(
        self, method: str, path: str, organisation: str, headers: dict[str, str], options: dict[str, Any]
    ) -> httpx.Response:
        token = await self._keys.token(Caller(self._service, organisation), self._audience)
        traceparent = current_traceparent()
        if traceparent is not None:
            headers = {**headers, "traceparent": traceparent}
        try:
            response = await self._http.request(
                method, path, headers={**headers, "Authorization": f"Bearer {token}"}, **options
            )
        except httpx.HTTPError as error:
            raise Unavailable(f"{self._audience} cannot be reached: {type(error).__name__}") from error
        if response.is_success:
            return response
        raise error_of(response)

    async def ping(self) -> None:
        """Raises Unavailable if the service does not answer, or is not ready."""
        await self.request("GET", "/ready", retry_s=0)

    async def close(self) -> None:
        await self._http.aclose()
