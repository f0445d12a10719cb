"""Projects, folders and shares."""

from studio9_baile.models.library import Folder, Project, Share
from studio9_baile.usecases.sharing import Person
from studio9_baile.v2.wire.base import Answer, Body, Moment


class FolderAnswer(Answer):
    id: str
    path: str

    @classmethod
    def of(cls, folder: Folder) -> "FolderAnswer":
        return cls(id=folder.id, path=folder.path)


class ProjectListItem(Answer):
    id: str
    name: str
    created: Moment
    updated: Moment
    ownerId: str
    folders: list[FolderAnswer]

    @classmethod
    def of(cls, project: Project, folders: list[Folder]) -> "ProjectListItem":
        return cls(
            id=project.id,
            name=project.name,
            created=project.created_at,
            updated=project.updated_at,
            ownerId=project.owner,
            folders=[FolderAnswer.of(folder) for folder in folders],
        )


class ProjectAnswer(Answer):
    """One project; the UI takes its folders from the list."""

    id: str
    name: str
    created: Moment
    updated: Moment
    ownerId: str
    modelsCount: int
    flowsCount: int = 0
    tablesCount: int = 0

    @classmethod
    def of(cls, project: Project, models: int = 0) -> "ProjectAnswer":
        return cls(
            id=project.id,
            name=project.name,
            created=project.created_at,
            updated=project.updated_at,
            ownerId=project.owner,
            modelsCount=models,
        )


class ProjectBody(Body):
    name: str | None = None


class FolderBody(Body):
    path: str


class LinkBody(Body):
    folderId: str | None = None


class ShareAnswer(Answer):
    id: str
    ownerId: str
    name: str | None = None
    created: Moment
    updated: Moment
    recipientId: str | None = None
    recipientEmail: str | None = None
    assetType: str
    assetId: str

    @classmethod
    def of(cls, share: Share) -> "ShareAnswer":
        return cls(
            id=share.id,
            ownerId=share.owner,
            name=share.name,
            created=share.created_at,
            updated=share.updated_at,
            recipientId=share.recipient,
            recipientEmail=share.recipient_email,
            assetType=share.kind,
            assetId=share.asset,
        )


class NewShareBody(Body):
    name: str | None = None
    recipientId: str | None = None
    recipientEmail: str | None = None
    assetType: str
    assetId: str


class PersonAnswer(Answer):
    """Who gave or got a share."""

    id: str
    email: str
    firstName: str
    lastName: str

    @classmethod
    def of(cls, person: Person) -> "PersonAnswer":
        return cls(id=person.id, email=person.email, firstName=person.first_name, lastName=person.last_name)
