"""Calls to addresses that users give: resolved once, checked, and only that very address is called.

A name is looked up one time; every address that it has must be a public one; the connection goes to the one that was
checked, whatever the name says a moment later. Redirects are not followed, proxies not asked, and of the answer only
the status is read.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from studio9_common.errors import BadInput, Unavailable

TIMEOUT_S = 10.0
LONGEST = 2_000
_UNKNOWN = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})
"""What a lookup says of a name that has no address; everything else may be different soon."""
_PORTS = {"http": 80, "https": 443}
_EMBEDDING = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))
"""Networks of IPv6 whose addresses hold one of IPv4 in their last 32 bits."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ForbiddenAddress(BadInput):
    """This address cannot be called from here; give an https:// address that anybody on the internet can reach."""

    code = "forbidden_address"


class NotReached(Unavailable):
    """The address did not answer with success; it is tried again."""

    code = "not_reached"


@dataclass(frozen=True, slots=True)
class Target:
    """An address of a user's, and where it leads."""

    scheme: str
    host: str
    port: int
    path: str
    address: str


def public(address: Address) -> bool:
    """Whether an address is one of the open internet, also what is embedded in it."""
    if isinstance(address, ipaddress.IPv6Address):
        inner: Address | None = address.ipv4_mapped or address.sixtofour
        if inner is None and any(address in network for network in _EMBEDDING):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is not None:
            return public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


async def resolve(url: str, *, private: bool = False, field: str = "url") -> Target:
    """Where a URL leads. `private` lets it lead anywhere, also without TLS: for tests, and networks of one's own.
    Raises ForbiddenAddress, and NotReached where the name cannot be looked up now."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused(url, field, "it is no URL") from None
    schemes = ("http", "https") if private else ("https",)
    if parts.scheme not in schemes or not parts.hostname or len(url) > LONGEST or not url.isascii():
        raise _refused(url, field, f"write {schemes[-1]}://host/path, in ASCII")
    if parts.username is not None or parts.password is not None or any(c.isspace() or ord(c) < 32 for c in url):
        raise _refused(url, field, "leave out user, password and blanks")
    port = port or _PORTS[parts.scheme]
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise _refused(url, field, "its host is not known") from None
    except OSError as error:  # of which TimeoutError is one
        if isinstance(error, socket.gaierror) and error.errno in _UNKNOWN:
            raise _refused(url, field, "its host is not known") from None
        raise NotReached(
            f"The name {parts.hostname[:200]} could not be looked up now; try again", field=field, value=url[:200]
        ) from None
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    if not addresses or not (private or all(public(one) for one in addresses)):
        raise _refused(url, field, "its host is not on the open internet")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, parts.hostname, port, path, str(addresses[0]))


async def post(target: Target, body: bytes, headers: Mapping[str, str]) -> None:
    """Sends a body to the address that was checked. Raises NotReached."""
    literal = f"[{target.address}]" if ":" in target.address else target.address
    sent = {**headers, "Host": target.host if target.port in _PORTS.values() else f"{target.host}:{target.port}"}
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as http,
            http.stream(
                "POST",
                f"{target.scheme}://{literal}:{target.port}{target.path}",
                content=body,
                headers=sent,
                extensions={"sni_hostname": target.host},
            ) as answer,
        ):
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NotReached(f"the address did not answer: {type(error).__name__}") from None
    if not 200 <= status < 300:
        raise NotReached(f"the address answered {status}")


def _refused(url: str, field: str, fix: str) -> ForbiddenAddress:
    return ForbiddenAddress(field=field, value=url[:200], fix=fix)
