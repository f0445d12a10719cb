"""Projects, folders, links and shares."""

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, update

from studio9_baile.models.library import Folder, Project, ProjectLink, Share
from studio9_baile.repositories.base import AssetRepository, Repository


class Projects(AssetRepository[Project]):
    """Projects."""

    row = Project
    missing = "Project not found"

    async def of(self, owner: str) -> list[Project]:
        return await self.all(Project.owner == owner)


class Folders(Repository[Folder]):
    """Folders of projects."""

    row = Folder
    missing = "Folder not found"

    async def of(self, projects: list[str]) -> dict[str, list[Folder]]:
        """The folders of several projects, by project, in the order of their paths."""
        found: dict[str, list[Folder]] = {project: [] for project in projects}
        for folder in await self._session.scalars(self.select(Folder.project.in_(projects)).order_by(Folder.path)):
            found[folder.project].append(folder)
        return found

    async def at(self, project: str, path: str) -> Folder | None:
        return await self._session.scalar(self.select(Folder.project == project, Folder.path == path))


class ProjectLinks(Repository[ProjectLink]):
    """Where assets are in projects."""

    row = ProjectLink

    def assets(self, kind: str, project: str, folder: str | None) -> Select[str]:
        """The ids of a project's assets of a kind: in a folder, or at its root."""
        place = ProjectLink.folder == folder if folder is not None else ProjectLink.folder.is_(None)
        return select(ProjectLink.asset).where(
            self.mine, ProjectLink.kind == kind, ProjectLink.project == project, place
        )

    async def of(self, project: str, kind: str, asset: str) -> ProjectLink | None:
        return await self._session.scalar(
            self.select(ProjectLink.project == project, ProjectLink.kind == kind, ProjectLink.asset == asset)
        )

    async def unlink(self, kind: str, asset: str) -> None:
        """Takes an asset out of all projects."""
        await self._session.execute(
            delete(ProjectLink).where(self.mine, ProjectLink.kind == kind, ProjectLink.asset == asset)
        )

    async def counts(self, project: str) -> dict[str, int]:
        """How many assets of each kind a project holds."""
        statement = select(ProjectLink.kind, func.count()).where(self.mine, ProjectLink.project == project)
        rows = await self._session.execute(statement.group_by(ProjectLink.kind))
        return {row[0]: row[1] for row in rows}


class Shares(Repository[Share]):
    """Shares."""

    row = Share
    missing = "Share not found"

    async def received(self, user: str) -> list[Share]:
        return await self.all(Share.recipient == user)

    async def seen_by(self, user: str, asset: str | None = None, kind: str | None = None) -> list[Share]:
        """What a user gave or got, of one asset if it is named."""
        where: list[ColumnElement[bool]] = [(Share.owner == user) | (Share.recipient == user)]
        if asset is not None:
            where.append(Share.asset == asset)
        if kind is not None:
            where.append(Share.kind == kind)
        return await self.all(*where)

    async def of_asset(self, kind: str, asset: str) -> list[Share]:
        return await self.all(Share.kind == kind, Share.asset == asset)

    def assets(self, kind: str, user: str) -> Select[str]:
        """The ids of the assets of a kind that others share with a user."""
        return select(Share.asset).where(self.mine, Share.kind == kind, Share.recipient == user)

    async def given(self, kind: str, asset: str, user: str) -> bool:
        """Whether an asset is shared with a user."""
        return await self.exists(Share.kind == kind, Share.asset == asset, Share.recipient == user)

    async def drop(self, kind: str, asset: str) -> None:
        """Ends all shares of an asset."""
        await self._session.execute(delete(Share).where(self.mine, Share.kind == kind, Share.asset == asset))

    async def hand_over(self, user: str, heir: str | None) -> None:
        """A user goes: what was shared with them ends, and so does what now belongs to its recipient; what they shared
        is shared by the heir."""
        ended = (
            (Share.recipient == user)
            if heir is None
            else or_(Share.recipient == user, and_(Share.owner == user, Share.recipient == heir))
        )
        await self._session.execute(self.delete_where(ended))
        if heir is None:
            await self._session.execute(self.delete_where(Share.owner == user))
        else:
            await self._session.execute(self.update(Share.owner == user).values(owner=heir))

    async def claim(self, email: str, user: str) -> None:
        """Gives a new user what was shared with the address."""
        await self._session.execute(
            update(Share).where(self.mine, Share.recipient_email == email).values(recipient=user)
        )
