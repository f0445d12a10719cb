"""Who this machine is for its platform, kept in its state folder for its owner only.

The machine makes its secrets before it asks to join and keeps them first, so that an answer which got lost is asked for
again with the same ones.
"""

import hashlib
import json
import os
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from studio9_common.contracts.joining import Joined
from studio9_common.errors import BadInput
from studio9_common.tokens import TokenKeys

FILE = "identity.json"


class BadIdentity(BadInput):
    """The identity in this state folder cannot be read; restore it, or remove the file and join again with a new
    token."""

    code = "bad_identity"


class Identity(BaseModel):
    """The machine's own secrets, Orion's address, and what Orion has told it; `joined` None: not yet."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)
    orion_url: str
    proof: str
    broker_password: str
    joined: Joined | None = None

    @classmethod
    def new(cls, orion_url: str) -> Self:
        """With fresh secrets."""
        return cls(orion_url=orion_url, proof=secrets.token_urlsafe(32), broker_password=secrets.token_urlsafe(32))

    @property
    def bus_url(self) -> str:
        """The broker's address with this machine's user. Only once it has joined."""
        assert self.joined is not None
        place = urlsplit(self.joined.broker)
        login = f"{quote(self.joined.broker_user, safe='')}:{self.broker_password}"
        return place._replace(netloc=f"{login}@{place.netloc}").geturl()

    @property
    def local_keys(self) -> str:
        """Keys of tokens for the agent's own HTTP API, which whoever can read this folder makes."""
        key = hashlib.sha256(b"local:" + self.proof.encode()).digest()
        return f"local:{urlsafe_b64encode(key).decode().rstrip('=')}"

    def local_token_keys(self) -> TokenKeys:
        """The same, ready to sign."""
        return TokenKeys(self.local_keys)


def load(state: Path) -> Identity | None:
    """The identity in a state folder; None where there is none. Raises BadIdentity."""
    try:
        return Identity.model_validate_json((state / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError):
        raise BadIdentity(field="state_dir", value=state / FILE) from None


def save(state: Path, identity: Identity) -> None:
    """Keeps it for its owner only, whole or not at all."""
    state.mkdir(parents=True, exist_ok=True)
    file = state / FILE
    temporary = file.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(identity.model_dump(mode="json"), out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    temporary.rename(file)
