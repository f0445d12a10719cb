"""Labels change by appending revisions. Pictures may carry thousands of shapes: they are read and written as JSON text
in a thread, a few pictures at a time."""

import asyncio
from collections.abc import Mapping, Sequence

from studio9_baile.models.base import JsonText
from studio9_baile.models.pictures import Picture
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.shapes import SHAPE, label_rows, loaded, stored
from studio9_task.shapes import Shape

AT_ONCE = 50
"""Pictures whose labels are written between two turns of the event loop."""


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
    for start in range(0, len(pictures), AT_ONCE):
        chunk = pictures[start : start + AT_ONCE]
        numbers = await work.revisions.last_numbers([picture.id for picture in chunk])
        texts = await asyncio.to_thread(_texts, [shapes[picture.id] for picture in chunk])
        rows = []
        for picture, text in zip(chunk, texts, strict=True):
            revision = work.revisions.make(
                picture=picture.id,
                number=numbers[picture.id] + 1,
                shapes=text,
                source=source,
                author=author,
                job=job,
            )
            picture.label_revision = revision.id
            rows += label_rows(picture, (shape.label for shape in shapes[picture.id]), predicted=False)
        await work.labels.replace(rows, [picture.id for picture in chunk], predicted=False)
        await work.flush()


def _texts(shapes: Sequence[Sequence[Shape]]) -> list[JsonText]:
    return [stored(one) for one in shapes]


async def current_shapes(work: Work, pictures: Sequence[Picture]) -> dict[str, tuple[Shape, ...]]:
    """The shapes of these pictures' current revisions, by picture id. Raises BadInput."""
    texts = await work.revisions.texts({picture.label_revision for picture in pictures if picture.label_revision})
    found = await asyncio.to_thread(_loaded, texts)
    return {picture.id: found.get(picture.label_revision or "", ()) for picture in pictures}


def _loaded(texts: Mapping[str, str]) -> dict[str, tuple[Shape, ...]]:
    return {revision: loaded(text) for revision, text in texts.items()}


async def predicted_shapes(work: Work, pictures: Sequence[Picture]) -> dict[str, tuple[Shape, ...]]:
    """The shapes that models have predicted on these pictures, by picture id."""
    found = await predictions(work, pictures)
    return {picture: tuple(shape for shape, _ in shapes) for picture, shapes in found.items()}


async def predictions(work: Work, pictures: Sequence[Picture]) -> dict[str, tuple[tuple[Shape, float], ...]]:
    """(shape, confidence) of what models have predicted on these pictures, by picture id."""
    found = await work.predicted.of([picture.id for picture in pictures])
    return await asyncio.to_thread(
        lambda: {
            picture.id: tuple((SHAPE.validate_json(text), confidence) for text, confidence in found.get(picture.id, ()))
            for picture in pictures
        }
    )
