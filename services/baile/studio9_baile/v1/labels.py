"""`/v1/albums/{id}/pictures/{id}/labels`: a picture's labels as shapes of every kind, and their revisions."""

import asyncio
import json
from typing import Any

from fastapi import Request, Response
from pydantic import Field

from studio9_baile.models.pictures import LabelRevision
from studio9_baile.usecases import labels
from studio9_baile.usecases.labels import Labels
from studio9_baile.v1.dependencies import TheCaller, TheCore
from studio9_baile.v1.routing import router
from studio9_baile.v1.wire import Answer, Body, Id, Page, TheSlice, Time, paged
from studio9_baile.v2.receiving import received_json
from studio9_task.shapes import Shape

routes = router(prefix="/albums/{album_id}/pictures/{picture_id}", tag="labels")

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["shapes"],
                    "additionalProperties": False,
                    "properties": {"shapes": {"type": "array", "maxItems": 10_000, "items": {"type": "object"}}},
                }
            }
        },
    }
}
"""Read beside the event loop, so it is described here; the answer's `shapes` say what each kind has."""


class LabelsBody(Body):
    """All labels of a picture: what is not among them is no label of it any more."""

    shapes: list[dict[str, Any]] = Field(max_length=10_000)


class RevisionAnswer(Answer):
    """One change of a picture's labels. `source` is human or model; `author` made it, or a job."""

    id: str
    number: int
    source: str
    author: str | None = None
    job: str | None = None
    created_at: Time

    @classmethod
    def of(cls, row: LabelRevision) -> "RevisionAnswer":
        return cls(
            id=row.id, number=row.number, source=row.source, author=row.author, job=row.job, created_at=row.created_at
        )


class LabelsAnswer(Answer):
    """The labels of a picture of `width` x `height` pixels; without a revision it never had any."""

    picture: str
    width: int
    height: int
    revision: RevisionAnswer | None = None
    shapes: list[Shape]


def _text(found: Labels) -> str:
    head: dict[str, Any] = {"picture": found.picture.id, "width": found.picture.width, "height": found.picture.height}
    if found.revision is not None:
        head["revision"] = RevisionAnswer.of(found.revision).model_dump(mode="json", exclude_none=True)
    return f'{json.dumps(head)[:-1]}, "shapes": {found.shapes}}}'


async def _answer(found: Labels) -> Response:
    return Response(await asyncio.to_thread(_text, found), media_type="application/json")


@routes.get("/labels", response_model=LabelsAnswer)
async def get(album_id: Id, picture_id: Id, core: TheCore, caller: TheCaller) -> Response:
    """The labels that the picture has now."""
    return await _answer(await labels.get_labels(core, caller, album_id, picture_id))


@routes.put("/labels", response_model=LabelsAnswer, openapi_extra=BODY)
async def put(album_id: Id, picture_id: Id, request: Request, core: TheCore, caller: TheCaller) -> Response:
    """Gives the picture these labels instead, as a new revision; the older ones stay."""
    body = await received_json(request, LabelsBody)
    return await _answer(await labels.put_labels(core, caller, album_id, picture_id, body.shapes))


@routes.get("/label-revisions", response_model_exclude_none=True)
async def list_revisions(
    album_id: Id, picture_id: Id, wanted: TheSlice, core: TheCore, caller: TheCaller
) -> Page[RevisionAnswer]:
    rows = await labels.list_revisions(core, caller, album_id, picture_id, wanted)
    return paged([RevisionAnswer.of(row) for row in rows], [row.id for row in rows], wanted)


@routes.get("/label-revisions/{revision_id}", response_model=LabelsAnswer)
async def get_revision(album_id: Id, picture_id: Id, revision_id: Id, core: TheCore, caller: TheCaller) -> Response:
    """The labels that the picture had."""
    return await _answer(await labels.get_revision(core, caller, album_id, picture_id, revision_id))
