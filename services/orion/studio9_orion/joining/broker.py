"""Broker users of machines that joined, made through RabbitMQ's management API.

Format: https://www.rabbitmq.com/docs/management#http-api
"""

from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from studio9_common.bus.rabbitmq.topology import EXCHANGE
from studio9_common.bus.rabbitmq.users import PASSWORD_HASHING, member_permissions
from studio9_common.errors import Unavailable

TIMEOUT_S = 10.0
RETRY_S = 5.0
CONNECTIONS = 4
"""Of one worker at once: one, and those that a restart or a cut leaves behind for a moment."""


class BrokerRefused(Unavailable):
    """The broker's management API refused to make or remove a worker's user; check the user in
    STUDIO9_ORION_BROKER_MANAGEMENT_URL, which needs the tag `administrator`."""

    code = "broker_refused"


class BrokerUsers:
    """The users of workers in one vhost. `url` is http://administrator:password@host:15672, `prefix` begins each
    user's name."""

    def __init__(self, url: str, vhost: str, *, prefix: str) -> None:
        place = urlsplit(url)
        login = (unquote(place.username or ""), unquote(place.password or ""))
        base = f"{place.scheme}://{place.hostname}:{place.port or 15672}/api"
        self._http = httpx.AsyncClient(base_url=base, auth=login, timeout=TIMEOUT_S)
        self._vhost = quote(vhost, safe="")
        self._prefix = prefix

    def user(self, worker: str) -> str:
        """The broker user of a worker."""
        return f"{self._prefix}{worker}"

    async def make(self, worker: str, password_hash: str) -> None:
        """Makes the user with what it may do; again is harmless. Raises Unavailable, BrokerRefused."""
        user, may = quote(self.user(worker), safe=""), member_permissions(worker)
        secret = {"password_hash": password_hash, "hashing_algorithm": PASSWORD_HASHING, "tags": ""}
        await self._call("PUT", f"/users/{user}", secret)
        for limit in ("max-connections", "max-channels"):
            value = CONNECTIONS if limit == "max-connections" else 64 * CONNECTIONS
            await self._call("PUT", f"/user-limits/{user}/{limit}", {"value": value})
        topics = {"exchange": EXCHANGE, "write": may.topic_write, "read": may.topic_read}
        await self._call("PUT", f"/topic-permissions/{self._vhost}/{user}", topics)
        # Last: without them the user reaches nothing, and never more than with all of them.
        plain = {"configure": may.configure, "write": may.write, "read": may.read}
        await self._call("PUT", f"/permissions/{self._vhost}/{user}", plain)

    async def remove(self, worker: str) -> None:
        """Removes the user and cuts its connections; harmless where there is none. Raises Unavailable."""
        await self._call("DELETE", f"/users/{quote(self.user(worker), safe='')}", None)

    async def close(self) -> None:
        await self._http.aclose()

    async def _call(self, method: str, path: str, body: Any) -> None:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(httpx.TransportError),
            stop=stop_after_delay(RETRY_S),
            wait=wait_random_exponential(multiplier=0.1, max=1),
            reraise=True,
        )
        try:
            answer: httpx.Response = await retrying(self._http.request, method, path, json=body)
        except httpx.HTTPError as error:
            raise Unavailable(f"the broker's management API cannot be reached: {type(error).__name__}") from error
        if answer.status_code == 404 and method == "DELETE":
            return
        if not answer.is_success:
            raise BrokerRefused
