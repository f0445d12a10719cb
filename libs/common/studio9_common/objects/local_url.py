"""Signed URLs of local objects: an HMAC over method, key, expiry and file name, with a key of this installation."""

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

from studio9_common.errors import Forbidden
from studio9_common.objects.disposition import attachment
from studio9_common.objects.keys import check_key
from studio9_common.objects.windows import validity


class UrlRefused(Forbidden):
    """This link is not valid: it was changed, made for another method, or has expired; ask for a new one."""

    code = "url_refused"


class UrlSigner:
    """Makes and checks URLs of the form `{base}/{key}?expires=…&filename=…&signature=…`.

    `now` is Unix time in seconds; tests pass their own.
    """

    def __init__(self, secret: bytes, base_url: str, *, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._base = base_url.rstrip("/")
        self._now = now

    def sign(self, key: str, method: str, expires_s: int, filename: str | None = None) -> str:
        """A URL for this key and method. Raises BadKey or BadInput (expires_s, filename)."""
        expires = validity(check_key(key), expires_s, self._now()).expires
        if filename is not None:
            attachment(filename)
        query = {"expires": str(expires)} | ({} if filename is None else {"filename": filename})
        query["signature"] = self._signature(method, key, str(expires), filename)
        return f"{self._base}/{quote(key, safe='/')}?{urlencode(query)}"

    def check(self, key: str, method: str, query: Mapping[str, str]) -> int:
        """Seconds that are left. Raises UrlRefused. HEAD is allowed where GET is."""
        signed_method = "GET" if method == "HEAD" else method
        expires = query.get("expires", "")
        expected = self._signature(signed_method, key, expires, query.get("filename"))
        given = query.get("signature", "")
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise UrlRefused
        left = int(expires) - self._now()
        if left <= 0:
            raise UrlRefused("This link has expired; ask for a new one.")
        return int(left)

    def _signature(self, method: str, key: str, expires: str, filename: str | None) -> str:
        named = "" if filename is None else f"={filename}"
        text = "\n".join((method, expires, key, named))
        mac = hmac.digest(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def installation_secret(path: Path) -> bytes:
    """The secret in a file that only its owner can read; made on first use, by whichever process is first."""
    while True:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(temporary, path)
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
