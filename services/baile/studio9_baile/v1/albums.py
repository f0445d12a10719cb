"""`/v1/albums`: albums, and what became of labels that were brought into them."""

from typing import Any

from pydantic import Field

from studio9_baile.models.pictures import Album, AlbumStatus, AlbumType, LabelMode
from studio9_baile.usecases import albums, label_csv
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import router
from studio9_baile.v1.wire import Answer, Body, Id, Page, TheSlice, Time, paged

routes = router(prefix="/albums", tag="albums")


class AlbumBody(Body):
    """An album to be made."""

    name: str = Field(min_length=1, max_length=255)
    label_mode: LabelMode
    description: str | None = Field(None, max_length=10_000)


class AlbumChange(Body):
    """What is to be changed of an album; what is not given stays."""

    name: str | None = Field(None, min_length=1, max_length=255)
    label_mode: LabelMode | None = None
    description: str | None = Field(None, max_length=10_000)


class AlbumAnswer(Answer):
    """An album; `job` made it, if one did."""

    id: str
    name: str
    description: str | None = None
    owner: str
    status: AlbumStatus
    type: AlbumType
    label_mode: LabelMode
    in_library: bool
    job: str | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, row: Album) -> "AlbumAnswer":
        return cls(
            id=row.id,
            name=row.name,
            description=row.description,
            owner=row.owner,
            status=row.status,
            type=row.type,
            label_mode=row.label_mode,
            in_library=row.in_library,
            job=row.job,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@routes.post("", status_code=201, response_model_exclude_none=True)
async def create(body: AlbumBody, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    """An empty album."""
    return AlbumAnswer.of(await albums.create_album(core, caller, body.name, body.label_mode, body.description))


@routes.get("", response_model_exclude_none=True)
async def list_albums(wanted: TheSlice, core: TheCore, caller: TheCaller) -> Page[AlbumAnswer]:
    """The caller's albums, newest first, also those that are not in the library."""
    rows = await albums.recent_albums(core, caller, wanted)
    return paged([AlbumAnswer.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.get("/{album_id}", response_model_exclude_none=True)
async def get(album_id: Id, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    return AlbumAnswer.of(await albums.get_album(core, caller, album_id))


@routes.patch("/{album_id}", response_model_exclude_none=True)
async def change(album_id: Id, body: AlbumChange, core: TheCore, caller: TheCaller) -> AlbumAnswer:
    """The label mode changes only while no picture is labelled."""
    changed = await albums.update_album(
        core, caller, album_id, name=body.name, label_mode=body.label_mode, description=body.description
    )
    return AlbumAnswer.of(changed)


@routes.delete("/{album_id}", status_code=204)
async def delete(album_id: Id, core: TheCore, caller: TheCaller) -> None:
    """Deletes an album with its pictures, unless something uses it."""
    await albums.delete_album(core, caller, album_id)


@routes.get("/{album_id}/label-report")
async def label_report(album_id: Id, core: TheCore, caller: TheCaller) -> dict[str, Any]:
    """What became of the last upload of labels: rows, used, skipped, and each skipped row with its reason."""
    return (await label_csv.last_report(core, caller, album_id)).report
