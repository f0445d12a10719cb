"""Behind a proxy under a path of its own (`/studio9/…`): everything inside works on paths without it, whether the proxy
takes it away or not; whatever leads back here has it."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio9_baile.settings import BaileSettings
from studio9_common.errors import BadInput

HEADER = "X-Forwarded-Prefix"
SCOPE = "studio9.prefix"
LONGEST = 200
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def checked(prefix: str, field: str) -> str:
    """A prefix without its last slash; empty is none. Raises BadInput."""
    bare = prefix.rstrip("/")
    if bare and not usable(bare):
        raise BadInput("This is no path to be served under", field=field, value=prefix[:100], fix="write /name")
    return bare


def usable(prefix: str) -> bool:
    """Whether something is a path as it stands, and leads nowhere else."""
    parts = prefix.split("/")
    return len(prefix) <= LONGEST and _PREFIX.fullmatch(prefix) is not None and not {".", ".."} & set(parts)


def networks(given: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    """Addresses and networks. Raises BadInput."""
    found = []
    for one in given:
        try:
            found.append(ip_network(one, strict=False))
        except ValueError:
            raise BadInput(
                "This is no address of a proxy", field="trusted_proxies", value=one[:100],
                fix="write addresses or networks, as 10.0.0.1 or 10.0.0.0/8",
            ) from None  # fmt: skip
    return found


class UnderPrefix:
    """Finds the prefix of a request: the header's, where a trusted proxy says one, else the settings'. Anybody else's
    header is not looked at. It stands outside of what puts a forwarded address in the place of the connection's: it is
    the proxy that is trusted."""

    def __init__(self, app: ASGIApp, *, prefix: str, proxies: Sequence[str]) -> None:
        self._app, self._prefix, self._proxies = app, checked(prefix, "root_path"), networks(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = self._of(scope) if scope["type"] == "http" else ""
        if not prefix:
            await self._app(scope, receive, send)
            return
        inner = {**scope, SCOPE: prefix}
        path: str = scope["path"]
        if path == prefix or path.startswith(f"{prefix}/"):
            inner["path"] = path[len(prefix) :] or "/"
            inner["raw_path"] = scope.get("raw_path", b"")[len(prefix) :] or b"/"

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "location" in headers:
                    headers["location"] = _under(prefix, headers["location"], Headers(scope=scope).get("host", ""))
            await send(message)

        await self._app(inner, receive, sent)

    def _of(self, scope: Scope) -> str:
        said = Headers(scope=scope).get(HEADER, "").strip().rstrip("/")
        if said and usable(said) and self._trusts(scope):
            return said
        return self._prefix

    def _trusts(self, scope: Scope) -> bool:
        peer: tuple[str, int] | None = scope.get("client")
        try:
            address = ip_address(peer[0]) if peer else None
        except ValueError:
            return False
        return address is not None and any(address in network for network in self._proxies)


def _under(prefix: str, location: str, host: str) -> str:
    """A redirection to here, as it is from outside."""
    own = re.match(rf"https?://{re.escape(host)}(?=/)", location) if host else None
    start = own.end() if own else 0
    path = location[start:]
    if not path.startswith("/") or path.startswith("//") or path.startswith(f"{prefix}/"):
        return location
    return f"{location[:start]}{prefix}{path}"


def prefix_of(scope: Scope) -> str:
    """The prefix that a request came under; empty for none."""
    prefix: str = scope.get(SCOPE, "")
    return prefix


def address_of(request: Request, settings: BaileSettings) -> str:
    """The address at which users find this installation, prefix and all, without a last slash."""
    return (settings.public_url or f"{str(request.base_url).rstrip('/')}{prefix_of(request.scope)}").rstrip("/")
