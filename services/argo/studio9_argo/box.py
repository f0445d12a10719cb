"""Encryption of secrets: Fernet (AES-128-CBC with HMAC-SHA256), under rotating keys."""

import base64
import binascii
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from studio9_common.errors import BadInput, Studio9Error


class NoKey(BadInput):
    """No key for secrets is set, or one is not 32 bytes in base64url; set STUDIO9_ARGO_FERNET_KEYS."""

    code = "no_secret_key"


class LostKey(Studio9Error):
    """A secret is encrypted with a key that is no longer set; add that key to the end of STUDIO9_ARGO_FERNET_KEYS."""

    code = "lost_secret_key"


class Box:
    """Encrypts under the first key, decrypts under any."""

    def __init__(self, keys: str) -> None:
        names = [part.strip() for part in keys.split(",") if part.strip()]
        try:
            self._fernet = MultiFernet([Fernet(name) for name in names])
            raw = base64.urlsafe_b64decode(names[0])
        except (ValueError, IndexError, binascii.Error):
            raise NoKey from None
        self.fingerprint = hashlib.sha256(b"studio9-argo" + raw).hexdigest()[:12]
        """Tells which key is the first, without telling the key."""

    def seal(self, value: Any) -> str:
        """The cipher text of a JSON value."""
        return self._fernet.encrypt(json.dumps(value).encode()).decode()

    def open(self, cipher: str) -> Any:
        """The value. Raises LostKey."""
        try:
            return json.loads(self._fernet.decrypt(cipher))
        except InvalidToken:
            raise LostKey from None

    def rotate(self, cipher: str) -> str:
        """The same value under the first key. Raises LostKey."""
        try:
            return self._fernet.rotate(cipher).decode()
        except InvalidToken:
            raise LostKey from None
