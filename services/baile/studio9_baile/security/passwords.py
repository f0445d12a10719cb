"""Passwords: the rules they must follow, and their argon2id hashes, made in threads and few at a time."""

import asyncio
import re
from collections.abc import Collection

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from studio9_baile.security.names import unstorable
from studio9_common.errors import BadInput

SHORTEST, LONGEST = 10, 128
KEPT = 5
"""So many earlier passwords cannot be used again."""
_KINDS = (r"[A-Z]", r"[a-z]", r"[0-9]", r"[^A-Za-z0-9]")
_THREE_ALIKE = re.compile(r"(.)\1\1", re.DOTALL)


class WeakPassword(BadInput):
    """This password breaks the rules for passwords; choose one as the message says."""

    code = "weak_password"


def check_rules(password: str, field: str = "password") -> None:
    """Raises WeakPassword, naming the rule that is broken."""
    fix = None
    if not SHORTEST <= len(password) <= LONGEST:
        fix = f"use {SHORTEST} to {LONGEST} characters"
    elif sum(re.search(kind, password) is not None for kind in _KINDS) < 3:
        fix = "use three of the four: upper case, lower case, digits, special characters"
    elif unstorable(password):
        fix = "use whole characters, none of them NUL"
    elif _THREE_ALIKE.search(password):
        fix = "do not repeat a character three times in a row"
    if fix is not None:
        raise WeakPassword("Password does not follow the rules", field=field, fix=fix)


class Passwords:
    """Hashes and verifies. `memory_kib` and `rounds` are argon2id's costs."""

    def __init__(self, *, memory_kib: int = 19_456, rounds: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1)
        self._turns = asyncio.Semaphore(2)
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right. Without a hash (no such user) it takes as long, and is False."""
        if self._nobody is None:
            self._nobody = await self.hash("nobody's password")
        async with self._turns:
            right = await asyncio.to_thread(self._right, password_hash or self._nobody, password)
        return right and password_hash is not None

    async def used_before(self, hashes: Collection[str], password: str) -> bool:
        """Whether the password is behind one of the hashes."""
        for one in hashes:
            if await self.verify(one, password):
                return True
        return False

    def _right(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (Argon2Error, InvalidHashError):
            return False
