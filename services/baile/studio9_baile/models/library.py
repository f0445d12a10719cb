"""Projects and folders, which group assets, and shares, which let others read them."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from studio9_baile.models.base import Asset, Scoped, Unchanging, reference


class Project(Asset):
    """A personal grouping of assets."""

    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("organisation", "owner", "name"),)


class Folder(Unchanging):
    """A folder of a project; `path` has no leading slash."""

    __tablename__ = "folders"
    __table_args__ = (UniqueConstraint("project", "path"),)

    project: Mapped[str] = mapped_column(reference("projects.id", cascade=True))
    path: Mapped[str]


class ProjectLink(Scoped):
    """An asset's place in a project: in a folder, or at the root. `kind` is an AssetType."""

    __tablename__ = "project_links"
    __table_args__ = (
        UniqueConstraint("project", "kind", "asset"),
        Index("ix_project_links_asset", "kind", "asset"),
    )

    project: Mapped[str] = mapped_column(reference("projects.id", cascade=True))
    folder: Mapped[str | None] = mapped_column(reference("folders.id", cascade=True))
    kind: Mapped[str]
    asset: Mapped[str]


class Share(Unchanging):
    """Leave to read one asset, given to a user or to an e-mail address."""

    __tablename__ = "shares"
    __table_args__ = (Index("ix_shares_asset", "kind", "asset"),)

    owner: Mapped[str] = mapped_column(reference("users.id"), index=True)
    name: Mapped[str | None]
    kind: Mapped[str]
    asset: Mapped[str]
    recipient: Mapped[str | None] = mapped_column(reference("users.id"), index=True)
    recipient_email: Mapped[str | None] = mapped_column(index=True)
    updated_at: Mapped[datetime]
