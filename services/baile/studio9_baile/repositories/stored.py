"""Binary datasets and their files, online APIs, codes that went out by mail."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select

from studio9_baile.models.stored import FileSet, MailedCode, OnlineApi, Orphan, StoredFile
from studio9_baile.repositories.base import AssetRepository, Repository
from studio9_baile.repositories.paging import Page, like


class FileSets(AssetRepository[FileSet]):
    """Binary datasets."""

    row = FileSet
    missing = "Dataset not found"


class StoredFiles(Repository[StoredFile]):
    """Their files."""

    row = StoredFile
    missing = "File not found"

    async def page(self, file_set: str, page: Page) -> tuple[list[StoredFile], int]:
        """A page of a set's files."""
        statement = self.select(StoredFile.file_set == file_set)
        if page.search:
            statement = statement.where(like(StoredFile.name, page.search))
        columns = {"filename": StoredFile.name, "filesize": StoredFile.size, "modified": StoredFile.created_at}
        return await self.page_of(statement, page.sorted(columns), page)

    async def stored(self, hashes: Collection[str]) -> set[str]:
        """Those of these hashes, at most CHUNK, that a file has."""
        statement = select(StoredFile.sha256).where(self.mine, StoredFile.sha256.in_(hashes))
        return set(await self._session.scalars(statement))

    async def of(self, file_set: str, names: Collection[str] | None = None) -> list[StoredFile]:
        """The files of a set (with these names), by name."""
        statement = self.select(StoredFile.file_set == file_set)
        if names is not None:
            statement = statement.where(StoredFile.name.in_(names))
        return await self.rows(statement.order_by(StoredFile.name))


class Orphans(Repository[Orphan]):
    """Objects that nothing names."""

    row = Orphan

    async def of(self, keys: Collection[str], *, lock: bool = False) -> dict[str, Orphan]:
        """The marks of these objects, at most CHUNK, by key."""
        statement = self.select(Orphan.key.in_(keys))
        rows = await self.rows(statement.with_for_update() if lock else statement, at_most=len(keys))
        return {row.key: row for row in rows}

    async def spare(self, key: str) -> None:
        """Takes the mark away; one that is just being acted upon is waited for."""
        await self._session.execute(self.delete_where(Orphan.key == key))


class OnlineApis(AssetRepository[OnlineApi]):
    """Online APIs."""

    row = OnlineApi
    missing = "Online API not found"
    sortable = ("name", "created", "updated", "enabled")

    async def using_model(self, model: str) -> bool:
        """Whether one answers with a model."""
        return await self.exists(OnlineApi.model == model)


class MailedCodes(Repository[MailedCode]):
    """Codes that went out by mail."""

    row = MailedCode

    async def open(self, user: str, purpose: str, code_hash: str, now: datetime) -> MailedCode | None:
        """A user's code, if it can still be used."""
        return await self._session.scalar(
            self.select(
                MailedCode.user == user,
                MailedCode.purpose == purpose,
                MailedCode.code_hash == code_hash,
                MailedCode.used_at.is_(None),
                MailedCode.expires_at > now,
            ).with_for_update()
        )

    async def sent_since(self, user: str, purpose: str, since: datetime) -> bool:
        """Whether a user got one lately."""
        return await self.exists(MailedCode.user == user, MailedCode.purpose == purpose, MailedCode.created_at > since)
