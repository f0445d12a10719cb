"""Dataset versions: immutable manifests of what a job sees, written as objects before the job is asked for."""

import asyncio
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from studio9_baile.core import Caller, Core
from studio9_baile.models.learned import DatasetVersion
from studio9_baile.models.pictures import Album, Picture
from studio9_baile.repositories.work import Work
from studio9_baile.usecases.changes import Kind, made_from
from studio9_baile.usecases.revisions import current_shapes
from studio9_common.contracts.job import Input, ObjectRef
from studio9_common.ids import new_id
from studio9_task.pictures import PictureRecord, Split
from studio9_task.shapes import Shape

SPLITS: Mapping[str, Split] = {"train": "train", "val": "val", "test": "test", "predict": "none", "pictures": "none"}
"""The split of the pictures of each input."""
GENERATIONS = 3
"""A copy of what was made from a copy of a frame is three away from what it comes from."""


@dataclass(slots=True)
class Written:
    """A manifest that lies in the object storage. `shapes` counts the marks on its pictures."""

    name: str
    album: str
    ref: ObjectRef
    pictures: int
    shapes: int


@dataclass(slots=True)
class NewVersion:
    """A dataset version whose manifests are written; `add` makes it known."""

    id: str
    purpose: str
    manifests: list[Written] = field(default_factory=list)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The manifests as a job's inputs."""
        return tuple(Input(name=one.name, kind="pictures", ref=one.ref) for one in self.manifests)


async def write_version(core: Core, caller: Caller, purpose: str, albums: Mapping[str, Album]) -> NewVersion:
    """Writes a manifest for each album under its input's name. What a crash leaves is named by nobody."""
    version = NewVersion(new_id(), purpose)
    for name, album in albums.items():
        version.manifests.append(await _write(core, caller, version.id, name, album))
    return version


async def _write(core: Core, caller: Caller, version: str, name: str, album: Album) -> Written:
    key = f"{caller.organisation}/datasets/{version}/{name}.jsonl"
    folder = core.settings.work_dir / "manifests"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    digest, size, pictures, shapes, after = hashlib.sha256(), 0, 0, 0, ""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        while True:
            async with core.database.read(caller.organisation) as work:
                chunk = await work.pictures.of_album(album.id, after)
                marks = await current_shapes(work, chunk)
                groups = await _groups(work, chunk)
            if not chunk:
                break
            after = chunk[-1].id
            text = await asyncio.to_thread(_lines, chunk, marks, groups, SPLITS[name])
            await asyncio.to_thread(file.write, text)
            digest.update(text)
            size += len(text)
            pictures += len(chunk)
            shapes += sum(len(marks[picture.id]) for picture in chunk)
        await asyncio.to_thread(file.flush)
        sha256 = digest.hexdigest()
        await core.objects.put(key, Path(file.name), content_type="application/jsonl", sha256=sha256)
    return Written(name, album.id, ObjectRef(key=key, sha256=sha256, size=size), pictures, shapes)


async def _groups(work: Work, pictures: Sequence[Picture]) -> dict[str, str | None]:
    """What binds each picture, by its id, to others that no split may part it from: the hash of the video that it, or
    what it was made from, is a frame of, else that of what it was made from. What has gone is named by its id."""
    first = {one.id: one for one in pictures}
    for _ in range(GENERATIONS):
        originals = await work.pictures.many({one.original for one in first.values() if one.original})
        first = {picture: originals.get(one.original or "", one) for picture, one in first.items()}
    albums = await work.albums.many({one.album for one in first.values() if one.frame is not None})
    groups: dict[str, str | None] = {}
    for picture, origin in first.items():
        album = albums.get(origin.album) if origin.frame is not None else None
        if album is not None and album.video:
            groups[picture] = PurePosixPath(album.video["key"]).parent.name
        else:
            groups[picture] = origin.original or (None if origin.id == picture else origin.sha256)
    return groups


def _lines(
    pictures: Sequence[Picture],
    marks: Mapping[str, Sequence[Shape]],
    groups: Mapping[str, str | None],
    split: Split,
) -> bytes:
    records = (
        PictureRecord(
            picture_id=picture.id,
            version=picture.sha256,
            sha256=picture.sha256,
            key=picture.key,
            filename=picture.filename,
            size=picture.size,
            width=picture.width,
            height=picture.height,
            split=split,
            group=groups[picture.id],
            frame=picture.frame,
            label_revision=picture.label_revision,
            annotations=tuple(marks[picture.id]),
        )
        for picture in pictures
    )
    return b"".join(record.model_dump_json(exclude_none=True).encode() + b"\n" for record in records)


def add_version(
    work: Work, author: str, version: NewVersion, profile: str, job: str | None, *, listed: bool = False
) -> DatasetVersion:
    """Makes a user's written version known, with where it came from. `listed`: its objects are noted already."""
    row = work.dataset_versions.make(
        id=version.id,
        author=author,
        purpose=version.purpose,
        pictures=sum(one.pictures for one in version.manifests),
        shapes=sum(one.shapes for one in version.manifests),
        listed=listed,
    )
    for one in version.manifests:
        work.manifests.make(
            dataset_version=version.id,
            name=one.name,
            album=one.album,
            key=one.ref.key,
            profile=profile,
            sha256=one.ref.sha256,
            size=one.ref.size,
            pictures=one.pictures,
            shapes=one.shapes,
        )
        made_from(work, Kind.DATASET_VERSION, version.id, Kind.ALBUM, one.album, one.name, job)
    return row


async def count_objects(work: Work, version: str) -> None:
    """The noted objects of a version count, from now on, in what the organisation keeps: each once, however many
    versions hold it."""
    work.tallies.tiles(await work.dataset_objects.sole_bytes(version))


async def drop_version(work: Work, version: DatasetVersion) -> None:
    """A version is there no more, and does not count. The objects of its manifests, and those that it alone has named,
    are left to the sweep; what was made from it keeps its id."""
    for manifest in (await work.manifests.of(version.id)).values():
        await work.manifests.remove(manifest)
    version.deleted_at = work.now
    if version.listed:
        work.tallies.tiles(-await work.dataset_objects.sole_bytes(version.id))
    await work.dataset_objects.forget(version.id)
