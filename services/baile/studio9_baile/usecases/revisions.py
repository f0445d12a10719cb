"""Labels change by appending revisions."""

from collections.abc import Mapping, Sequence

from studio9_baile.models.pictures import LabelRevision, Picture
from studio9_baile.repositories.base import CHUNK
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.shapes import label_rows, loaded, stored
from studio9_common.ids import new_id
from studio9_task.shapes import Shape


async def revise(
    work: Work,
    pictures: Sequence[Picture],
    shapes: Mapping[str, Sequence[Shape]],
    *,
    source: str,
    author: str | None = None,
    job: str | None = None,
) -> None:
    """Appends a revision to each picture (any number) with its `shapes`, by picture id, which are its labels from now
    on. Two who revise the same picture at once collide, and one of them is told so."""
    for start in range(0, len(pictures), CHUNK):
        chunk = pictures[start : start + CHUNK]
        numbers = await work.revisions.last_numbers([picture.id for picture in chunk])
        rows = []
        for picture in chunk:
            new = shapes[picture.id]
            revision = LabelRevision(
                id=new_id(),
                organisation=work.organisation,
                created_at=work.now,
                picture=picture.id,
                number=numbers[picture.id] + 1,
                shapes=stored(new),
                source=source,
                author=author,
                job=job,
            )
            work.revisions.add(revision)
            picture.label_revision = revision.id
            rows += label_rows(picture, (shape.label for shape in new), predicted=False)
        await work.labels.replace(rows, [picture.id for picture in chunk], predicted=False)
        await work.flush()


async def current_shapes(work: Work, pictures: Sequence[Picture]) -> dict[str, tuple[Shape, ...]]:
    """The shapes of these pictures' current revisions, by picture id."""
    found = await work.revisions.many({picture.label_revision for picture in pictures if picture.label_revision})
    return {
        picture.id: loaded(found[picture.label_revision].shapes) if picture.label_revision in found else ()
        for picture in pictures
    }
