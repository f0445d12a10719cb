"""Binary datasets."""

from studio9_baile.models.stored import FileSet, FileSetStatus, StoredFile
from studio9_baile.v2.wire.base import Answer, Body, Moment


class DatasetAnswer(Answer):
    id: str
    ownerId: str
    name: str
    created: Moment
    updated: Moment
    status: FileSetStatus
    description: str | None = None

    @classmethod
    def of(cls, row: FileSet) -> "DatasetAnswer":
        return cls(
            id=row.id,
            ownerId=row.owner,
            name=row.name,
            created=row.created_at,
            updated=row.updated_at,
            status=row.status,
            description=row.description,
        )


class FileAnswer(Answer):
    filename: str
    filepath: str
    filesize: int
    modified: Moment

    @classmethod
    def of(cls, file: StoredFile, url: str) -> "FileAnswer":
        return cls(filename=file.name, filepath=url, filesize=file.size, modified=file.created_at)


class DatasetBody(Body):
    name: str | None = None
    description: str | None = None


class FilesBody(Body):
    files: list[str] | None = None
