"""Reading from a bucket of a user's own, anywhere: with their keys, and only at the address that was checked.

Requests are signed in their headers (AWS Signature Version 4), so no URL that is logged opens anything. The connection
goes to the address of `http.outbound`, whatever the name says a moment later; redirects are not followed, proxies not
asked, and what an answer says is believed only as far as it is measured.
"""

import asyncio
import hashlib
import re
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote_plus
from xml.etree import ElementTree

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from yarl import URL

from studio9_common.errors import BadInput, Conflict, Forbidden, NotFound, Unavailable
from studio9_common.http.outbound import Target, resolve
from studio9_common.objects.s3_url import Credentials, Location

CONNECT_S = 10.0
SILENT_S = 60.0
"""The longest pause between two parts of an answer."""
SLOWEST = 64 * 1024
"""Bytes a second; an object that comes slower is given up."""
CHUNK = 1 << 20
LOOK_S = 120.0
"""Until an object is found, however slowly its bucket's server answers."""
LIST_S = 600.0
"""Until a list is at its end, with what is done meanwhile with the objects."""
LONGEST_PAGE = 8 << 20
"""Bytes of one page of a list."""
PAGE = 1_000
"""Objects on it at most."""
LONGEST_KEY = 1_024
"""Bytes; https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
LONGEST_TOKEN = 4_096
CONNECTIONS = 16
_CODE = re.compile(rb"<Code>(\w{1,80})</Code>")
_MD5 = re.compile(r"[0-9a-f]{32}")
_MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "NotFound"})
_ELSEWHERE = frozenset({"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"})


class BucketRefused(Forbidden):
    """The bucket does not open with these keys; check that they are valid, and that they may read what is named."""

    code = "bucket_refused"


class BucketMissing(NotFound):
    """There is no such bucket, or nothing under this key; check both."""

    code = "bucket_missing"


class BucketElsewhere(BadInput):
    """The bucket is not in this region, or not at this endpoint; correct the region."""

    code = "bucket_elsewhere"


class BucketChanged(Conflict):
    """An object is another one than was found a moment before; it is brought by the next attempt."""

    code = "bucket_changed"


class BucketAway(Unavailable):
    """The bucket's server does not answer as it should; it is tried again."""

    code = "bucket_away"


@dataclass(frozen=True, slots=True)
class Found:
    """One object as its bucket tells of it: `size` in bytes, `etag` without quotation marks."""

    key: str
    size: int
    etag: str


class ForeignBucket:
    """Use `open_bucket`. Reads objects of at most the size that was found before, and nothing else."""

    def __init__(self, location: Location, credentials: Credentials, target: Target) -> None:
        self._location = location
        frozen = ReadOnlyCredentials(credentials.access_key, credentials.secret_key, credentials.token)
        self._signer = S3SigV4Auth(frozen, "s3", location.region)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_Pinned(target), limit=CONNECTIONS, ssl=ssl.create_default_context(), use_dns_cache=False
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Closes what is kept."""
        await self._session.close()

    async def find(self, key: str) -> Found:
        """An object, without its bytes. Raises BucketMissing, BucketRefused, BucketElsewhere, BucketAway."""
        try:
            async with asyncio.timeout(LOOK_S):
                return await self._find(key)
        except TimeoutError:
            raise BucketAway("the bucket's server answers too slowly") from None

    async def _find(self, key: str) -> Found:
        async with self._ask("HEAD", self._location.url(key)) as answer:
            if answer.status == 200:
                return Found(key, _size(answer.headers), answer.headers.get("ETag", "").strip('"'))
            if _passing(answer.status):
                raise BucketAway(f"the bucket's server answered {answer.status}")
        # The answer to HEAD has no body that would say why.
        async with self._ask("GET", self._location.url(key), {"Range": "bytes=0-0"}) as answer:
            if answer.status in (200, 206, 416):  # of an empty object no byte can be had
                raise BucketAway("the bucket's server refused an object and then showed it")
            await self._refuse(answer, key)

    async def list(self, prefix: str) -> AsyncIterator[Found]:
        """All objects whose keys begin with a prefix, in their order. Raises as `find`."""
        after: str | None = None
        passed: set[str] = set()
        ends = asyncio.get_running_loop().time() + LIST_S
        while True:
            try:
                async with asyncio.timeout_at(ends):
                    found, following = await self._listed(prefix, after)
            except TimeoutError:
                raise BucketAway("the bucket's list comes too slowly") from None
            for one in found:
                yield one
            if following is None:
                return
            if following in passed or not found:
                raise BucketAway("the bucket's list does not come to an end")
            passed.add(following)
            after = following

    async def _listed(self, prefix: str, after: str | None) -> tuple[Sequence[Found], str | None]:
        query = {"list-type": "2", "encoding-type": "url", "max-keys": str(PAGE), "prefix": prefix}
        if after is not None:
            query["continuation-token"] = after
        text = "&".join(f"{name}={quote(query[name], safe='-_.~')}" for name in sorted(query))
        async with self._ask("GET", f"{self._location.url('')}?{text}") as answer:
            if answer.status != 200:
                await self._refuse(answer, prefix)
            body = await _at_most(answer, LONGEST_PAGE)
        return await asyncio.to_thread(_page, body, prefix)

    async def fetch(self, found: Found, path: Path, sha256: str | None = None) -> None:
        """Writes the object that was found to a path, whole or not at all: of its size, of its ETag as the server has
        it, and of the content that the ETag or `sha256` tells of. Raises as `find`, BucketChanged, BadInput for another
        sha256, and OSError."""
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            async with asyncio.timeout(SILENT_S + found.size / SLOWEST):
                await self._fetch(found, temporary, sha256)
            await asyncio.to_thread(temporary.replace, path)
        except TimeoutError:
            raise BucketAway(f"{found.key} comes too slowly") from None
        finally:
            await asyncio.to_thread(temporary.unlink, missing_ok=True)

    async def _fetch(self, found: Found, path: Path, sha256: str | None) -> None:
        wanted = {"If-Match": f'"{found.etag}"'} if found.etag else {}
        async with self._ask("GET", self._location.url(found.key), wanted) as answer:
            if answer.status == 412:
                raise BucketChanged(f"{found.key} was changed while it was read")
            if answer.status != 200:
                await self._refuse(answer, found.key)
            size, content, md5 = 0, hashlib.sha256(), hashlib.md5(usedforsecurity=False)
            pending = bytearray()
            with path.open("xb", buffering=0) as file:

                def flush(block: bytes) -> None:
                    content.update(block)
                    md5.update(block)
                    file.write(block)

                async for part in _parts(answer):
                    size += len(part)
                    if size > found.size:
                        break
                    pending += part
                    if len(pending) >= CHUNK:
                        await asyncio.to_thread(flush, bytes(pending))
                        pending.clear()
                await asyncio.to_thread(flush, bytes(pending))
            if size != found.size:
                raise BucketChanged(f"{found.key} is not of the {found.size} bytes that the bucket told of")
            # An ETag is the MD5 of what was stored in one piece and not encrypted by the server.
            plain = "x-amz-server-side-encryption" not in answer.headers and not any(
                name.lower().startswith("x-amz-server-side-encryption-") for name in answer.headers
            )
            if plain and _MD5.fullmatch(found.etag) and md5.hexdigest() != found.etag:
                raise BucketAway(f"{found.key} was damaged on its way")
            if sha256 is not None and content.hexdigest() != sha256:
                raise BadInput(f"{found.key} has another sha256", field="sha256", value=sha256, fix="correct it")

    @asynccontextmanager
    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        request = AWSRequest(method=method, url=url, headers={"Accept-Encoding": "identity", **(headers or {})})
        self._signer.add_auth(request)
        try:
            async with self._session.request(
                method, URL(url, encoded=True), headers=dict(request.headers.items()), allow_redirects=False
            ) as answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BucketAway(f"the bucket's server does not answer: {type(error).__name__}") from None

    async def _refuse(self, answer: aiohttp.ClientResponse, key: str) -> NoReturn:
        """Raises what an answer other than 200 means; only the error's code is taken from it."""
        named = _CODE.search(await _at_most(answer, 16_384, cut=True))
        code = named.group(1).decode() if named else ""
        bucket = self._location.bucket
        if 300 <= answer.status < 400 or code in _ELSEWHERE:
            raise BucketElsewhere(field="region", value=self._location.region)
        if answer.status == 404 or code in _MISSING:
            what = f"the bucket {bucket}" if code == "NoSuchBucket" else f"{key!r} in the bucket {bucket}"
            raise BucketMissing(f"there is no {what}", field="bucket" if code == "NoSuchBucket" else "key")
        if _passing(answer.status) or code in ("SlowDown", "RequestTimeout"):
            raise BucketAway(f"the bucket's server answered {answer.status} {code}".rstrip())
        raise BucketRefused(f"the bucket {bucket} answered {answer.status} {code}".rstrip(), field="credential")


@asynccontextmanager
async def open_bucket(location: Location, credentials: Credentials, *, trusted: bool) -> AsyncIterator[ForeignBucket]:
    """The bucket while the block lasts. `trusted`: the operator has named the endpoint, which may be anywhere; any
    other must be on the open internet, with TLS. Raises ForbiddenAddress, NotReached."""
    target = await resolve(location.url(""), private=trusted, field="endpoint")
    bucket = ForeignBucket(location, credentials, target)
    try:
        yield bucket
    finally:
        await bucket.close()


class _Pinned(AbstractResolver):
    """Knows one host, and where it was when it was checked."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host.lower() != self._target.host.lower():
            raise OSError(f"{host} was not asked for")
        kind = socket.AF_INET6 if ":" in self._target.address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=self._target.address, port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing is kept."""


async def _parts(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for part in answer.content.iter_any():
        yield part


async def _at_most(answer: aiohttp.ClientResponse, limit: int, *, cut: bool = False) -> bytes:
    """The body; over the limit the rest is left (`cut`), or BucketAway is raised."""
    body = bytearray()
    async for part in _parts(answer):
        body += part
        if len(body) > limit:
            if cut:
                break
            raise BucketAway("the bucket's server answered with too much")
    return bytes(body[:limit])


def _passing(status: int) -> bool:
    """Whether an answer says nothing about the object, and may be another one soon."""
    return status >= 500 or status in (408, 429)


def _size(headers: Mapping[str, str]) -> int:
    text = headers.get("Content-Length", "")
    if not text.isdigit():
        raise BucketAway("the bucket's server tells no size")
    return int(text)


def _page(body: bytes, prefix: str) -> tuple[list[Found], str | None]:
    """The objects of one page, and where the next begins. Raises BucketAway."""
    try:
        # As text, whatever encoding it claims: what is looked at is what is parsed.
        text = body.decode("utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("a list has no document type")
        root = ElementTree.fromstring(text)
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        encoded = root.findtext(f"{space}EncodingType") == "url"
        found: list[Found] = []
        for one in root.iter(f"{space}Contents"):
            key = one.findtext(f"{space}Key") or ""
            if encoded:
                key = unquote_plus(key, errors="strict")
            size = int(one.findtext(f"{space}Size") or "")
            if size < 0 or not key.startswith(prefix) or len(key.encode()) > LONGEST_KEY or len(found) == PAGE:
                raise ValueError("it lists what was not asked for, or what cannot be")
            found.append(Found(key, size, (one.findtext(f"{space}ETag") or "").strip('"')))
        more = (root.findtext(f"{space}IsTruncated") or "").lower() == "true"
        following = root.findtext(f"{space}NextContinuationToken") if more else None
        if following is not None and len(following) > LONGEST_TOKEN:
            raise ValueError("no request could bring this back")
    except (ElementTree.ParseError, ValueError):
        raise BucketAway("the bucket's server answered with no list") from None
    return found, following
