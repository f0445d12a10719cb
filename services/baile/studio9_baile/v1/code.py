"""`/v1/code`: packages with trainers of one's own, to train with (`POST /v1/models/{model}/train`)."""

from typing import Annotated

from fastapi import Query, Request

from studio9_baile.models.learned import CodePackage
from studio9_baile.usecases import code_packages
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import router
from studio9_baile.v1.wire import Answer, Id, Page, TheSlice, Time, paged
from studio9_baile.v2.receiving import received_whole

PATH = "/code"
routes = router(prefix=PATH, tag="code")
ZIP = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {
    "type": "string", "format": "binary", "description": "a zip archive of the folder that the package is in",
}}}}}  # fmt: skip


class CodeAnswer(Answer):
    """A package. `sha256` and `size` are the archive's, `unpacked` the bytes of its files together; `files` are their
    names, and `url` is good for an hour; lists have neither."""

    id: str
    name: str
    owner: str
    sha256: str
    size: int
    unpacked: int
    created_at: Time
    files: list[str] | None = None
    url: str | None = None

    @classmethod
    def of(cls, row: CodePackage, url: str | None = None, *, files: bool = False) -> "CodeAnswer":
        return cls(
            id=row.id,
            name=row.name,
            owner=row.owner,
            sha256=row.sha256,
            size=row.size,
            unpacked=row.unpacked,
            created_at=row.created_at,
            files=list(row.files) if files else None,
            url=url,
        )


@routes.post("", status_code=201, response_model_exclude_none=True, openapi_extra=ZIP)
async def create(
    name: Annotated[str, Query(min_length=1, max_length=255)], request: Request, core: TheCore, caller: TheCaller
) -> CodeAnswer:
    """Keeps a package; the body is the zip archive as it is. What could not be unpacked and imported safely is refused,
    naming the entry. Nothing of it is run before a training, and then in a container alone."""
    async with received_whole(request, core, limit=core.settings.max_code, name=name) as upload:
        return CodeAnswer.of(await code_packages.add_package(core, caller, name, upload), files=True)


@routes.get("", response_model_exclude_none=True)
async def list_packages(wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[CodeAnswer]:
    rows = await code_packages.list_packages(core, caller, wanted)
    return paged([CodeAnswer.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.get("/{code_id}", response_model_exclude_none=True)
async def get(code_id: Id, core: TheCore, caller: TheCaller) -> CodeAnswer:
    row, url = await code_packages.get_package(core, caller, code_id)
    return CodeAnswer.of(row, url, files=True)


@routes.delete("/{code_id}", status_code=204)
async def delete(code_id: Id, core: TheCore, caller: TheCaller) -> None:
    """Refused while a model needs it."""
    await code_packages.delete_package(core, caller, code_id)
