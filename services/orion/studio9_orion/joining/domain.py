"""A member: a machine that was invited to be a worker, has joined, or is one no more. Pure functions on its document.

Of a token and of a machine's proof only SHA-256 is kept; both are 32 random bytes, which nobody finds from their hash.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from studio9_common.contracts.envelope import SYSTEM
from studio9_common.contracts.joining import WORKER_NAME
from studio9_common.errors import Conflict, Unauthenticated
from studio9_common.times import format_time, parse_time

State = Literal["invited", "joined", "revoked", "removed"]
PREFIX = "s9join"
HISTORY = 50
"""Entries of a member's history that are kept."""


class JoinRefused(Unauthenticated):
    """This join token is not valid: it was used by another machine, revoked, has expired, or never was one. Ask an
    operator for a new one (`studio9 workers token`)."""

    code = "join_refused"


class NotMember(Unauthenticated):
    """This machine is no worker of the platform (any more). To let it join again, get a new join token
    (`studio9 workers token`) and start it with that."""

    code = "not_member"


class MemberExists(Conflict):
    """There is a worker with this name already; remove it first (`studio9 workers remove`), or take another name."""

    code = "member_exists"


@dataclass(frozen=True, slots=True)
class Member:
    """One machine. `labels` are the ones its workers show; `history` says who did what and when."""

    worker: str
    state: State
    token_hash: str
    expires_at: str
    labels: tuple[str, ...] = ()
    proof_hash: str | None = None
    history: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def of(cls, worker: str, body: Mapping[str, Any]) -> Self:
        """The member of a stored document."""
        kept = body["member"]
        return cls(
            worker=worker,
            state=body["state"],
            token_hash=kept["token_hash"],
            expires_at=body["expires_at"],
            labels=tuple(kept.get("labels", ())),
            proof_hash=kept.get("proof_hash"),
            history=tuple(kept.get("history", ())),
        )

    def document(self) -> dict[str, Any]:
        """The stored form."""
        kept = {
            "token_hash": self.token_hash,
            "proof_hash": self.proof_hash,
            "labels": list(self.labels),
            "history": [dict(one) for one in self.history],
        }
        return {
            "organisation": SYSTEM,
            "state": self.state,
            "expires_at": self.expires_at,
            "updated_at": self.history[-1]["time"],
            "member": kept,
        }

    def shown(self, now: datetime) -> dict[str, Any]:
        """What operators see; an invitation that was not used in time is `expired`."""
        state = "expired" if self.state == "invited" and _over(self, now) else self.state
        history = [dict(one) for one in self.history]
        return {"worker": self.worker, "state": state, "expires_at": self.expires_at, "history": history}

    def moved(self, state: State, event: str, by: str, now: datetime, **changes: Any) -> "Member":
        """In another state, with a line more in its history."""
        line = {"time": format_time(now), "event": event, "by": by}
        return replace(self, state=state, history=(*self.history, line)[-HISTORY:], **changes)


def invitation(
    worker: str, before: Member | None, *, labels: tuple[str, ...], valid_s: float, by: str, now: datetime
) -> tuple[Member, str]:
    """An invited machine and its token, which is shown once. Raises MemberExists while one of this name has joined or
    is still invited."""
    if before is not None and (before.state == "joined" or (before.state == "invited" and not _over(before, now))):
        raise MemberExists(field="worker", value=worker)
    secret = secrets.token_urlsafe(32)
    fresh = Member(
        worker=worker,
        state="invited",
        token_hash=digest(secret),
        expires_at=format_time(now + timedelta(seconds=valid_s)),
        labels=labels,
        history=before.history if before else (),
    )
    return fresh.moved("invited", "invited", by, now), f"{PREFIX}.{worker}.{secret}"


def parse_token(token: str) -> tuple[str, str]:
    """Worker and secret of a join token. Raises JoinRefused."""
    parts = token.strip().split(".")
    if len(parts) != 3 or parts[0] != PREFIX or not re.fullmatch(WORKER_NAME, parts[1]):
        raise JoinRefused
    return parts[1], parts[2]


def redeemed(member: Member | None, secret: str, proof: str, now: datetime) -> Member:
    """The member after its machine came with the token. The same machine may come again, should it have missed the
    answer: then it is unchanged. Raises JoinRefused."""
    if member is None or not hmac.compare_digest(digest(secret), member.token_hash):
        raise JoinRefused
    if member.state == "joined" and shows(member, proof):
        return member
    if member.state != "invited" or _over(member, now):
        raise JoinRefused
    return member.moved("joined", "joined", member.worker, now, proof_hash=digest(proof))


def shows(member: Member | None, proof: str) -> bool:
    """Whether this proof is that of the machine, and the machine is a worker now."""
    if member is None or member.proof_hash is None or member.state != "joined":
        return False
    return hmac.compare_digest(digest(proof), member.proof_hash)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _over(member: Member, now: datetime) -> bool:
    return now >= parse_time(member.expires_at)
