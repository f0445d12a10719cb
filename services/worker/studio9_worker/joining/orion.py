"""What a member asks Orion: to join, for tokens, for keys of the object storage."""

import os
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from studio9_common.bus.rabbitmq.users import password_hash
from studio9_common.contracts.joining import Joined, JoinRequest, StorageKeys, TokenAnswer, TokenRequest
from studio9_common.errors import Unavailable
from studio9_common.http.client import error_of
from studio9_worker.joining.identity import Identity

TIMEOUT_S = 20.0
Answer = TypeVar("Answer", bound=BaseModel)


class OrionForMembers:
    """Calls Orion as one machine. `retry_s`: for how many seconds calls are repeated while it cannot be reached."""

    def __init__(self, identity: Identity, *, retry_s: float = 10.0) -> None:
        self._identity, self._retry_s = identity, retry_s
        self._http = httpx.AsyncClient(base_url=identity.orion_url, timeout=TIMEOUT_S)

    async def join(self, token: str) -> Joined:
        """Redeems a join token; again with the same identity, the same answer. Raises Unauthenticated (and what to do),
        Conflict where nobody can join, Unavailable."""
        stored = password_hash(self._identity.broker_password, os.urandom(4))
        request = JoinRequest(token=token, proof=self._identity.proof, broker_hash=stored)
        return await self._post("/v1/joins/redeem", request, Joined, known=False)

    async def token(self, request: TokenRequest) -> TokenAnswer:
        """A service token. Raises Unauthenticated once the worker was removed, Forbidden, Unavailable."""
        return await self._post("/v1/members/token", request, TokenAnswer)

    async def storage_keys(self) -> StorageKeys:
        """Temporary keys. Raises as `token`."""
        return await self._post("/v1/members/storage-keys", None, StorageKeys)

    async def close(self) -> None:
        await self._http.aclose()

    async def _post(self, path: str, body: BaseModel | None, kind: type[Answer], *, known: bool = True) -> Answer:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_delay(self._retry_s),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            reraise=True,
        )
        found: Answer = await retrying(self._once, path, body, kind, known)
        return found

    async def _once(self, path: str, body: BaseModel | None, kind: type[Answer], known: bool) -> Answer:
        headers: dict[str, str] = {}
        if known and self._identity.joined is not None:
            headers["Authorization"] = f"Bearer {self._identity.joined.worker}.{self._identity.proof}"
        content: Any = None if body is None else body.model_dump(mode="json")
        try:
            answer = await self._http.post(path, json=content, headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"Orion cannot be reached at {self._identity.orion_url}: {type(error).__name__}"
            ) from error
        if not answer.is_success:
            raise error_of(answer)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError:
            raise Unavailable(f"{self._identity.orion_url} answers, but not as Orion does") from None
