"""The calls for one document, over an adapter's own way to write one and to read several."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from studio9_common.documents.port import Body, DocumentMissing, Stored, Write


class SingleDocuments(ABC):
    """What the adapters of `studio9_common.documents.port.Documents` have in common."""

    @abstractmethod
    async def _one(self, write: Write) -> str:
        """One write; the new version. Raises what was wrong with it."""

    @abstractmethod
    async def get_many(self, ids: Sequence[tuple[str, str]]) -> list[Stored | None]: ...

    async def create(self, index: str, id: str, body: Body) -> str:
        return await self._one(Write("create", index, id, body))

    async def replace(self, index: str, id: str, body: Body, version: str) -> str:
        return await self._one(Write("replace", index, id, body, version))

    async def put(self, index: str, id: str, body: Body) -> str:
        return await self._one(Write("put", index, id, body))

    async def delete(self, index: str, id: str, version: str | None = None) -> None:
        await self._one(Write("delete", index, id, None, version))

    async def get(self, index: str, id: str) -> Stored:
        found = (await self.get_many([(index, id)]))[0]
        if found is None:
            raise DocumentMissing(f"there is no {index}/{id}")
        return found
