"""Registers pictures that are in the storage already, many at once: for programs, which write them there first."""

import asyncio
import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio9_baile.core import Caller, Core
from studio9_baile.models.pictures import Album, Picture
from studio9_baile.security.names import file_name, text
from studio9_baile.usecases.albums import fillable
from studio9_baile.usecases.changes import Kind, changed
from studio9_baile.usecases.keeping import keep
from studio9_baile.usecases.quotas import check_room
from studio9_baile.usecases.revisions import revise
from studio9_baile.usecases.shapes import GivenTag, shapes_of
from studio9_common.errors import BadInput
from studio9_common.objects.port import BadKey, ObjectMissing
from studio9_task.shapes import Shape


@dataclass(frozen=True, slots=True)
class Registered:
    """A picture to be registered: the key below the organisation's own under which it lies, and what is known of it."""

    path: str
    filename: str
    caption: str | None
    tags: Sequence[GivenTag]


@dataclass(frozen=True, slots=True)
class _Looked:
    given: Registered
    name: str
    key: str
    sha256: str
    size: int
    content_type: str
    width: int
    height: int


async def register_pictures(
    core: Core, caller: Caller, album_id: str, pictures: Sequence[Registered], *, keep_existing: bool
) -> Album:
    """Adds stored pictures to an album, all or none; without `keep_existing` they replace what is there. Each is
    checked as an upload is. Raises AlbumLocked, QuotaReached, BadInput, naming the picture."""
    if not pictures:
        raise BadInput("Pictures not found", field="pictureMetaList", fix="name at least one")
    async with core.database.read(caller.organisation) as work:
        await fillable(work, caller, album_id)
        await check_room(core, work, pictures=len(pictures) if keep_existing else 0)
    looked = [await _look(core, caller, number, one) for number, one in enumerate(pictures)]
    async with core.database.write(caller.organisation) as work:
        album = await fillable(work, caller, album_id)
        if not keep_existing:
            async for chunk in work.pictures.every(album.id):
                for picture in chunk:
                    await work.pictures.remove(picture)
            await work.flush()
        await check_room(core, work, pictures=len(looked), size=sum(one.size for one in looked))
        rows: list[Picture] = []
        shapes: dict[str, Sequence[Shape]] = {}
        for one in looked:
            row = work.pictures.make(
                album=album.id,
                sha256=one.sha256,
                key=one.key,
                profile=core.objects.profile,
                content_type=one.content_type,
                size=one.size,
                width=one.width,
                height=one.height,
                filename=one.name,
                caption=text(one.given.caption, "caption"),
            )
            rows.append(row)
            shapes[row.id] = await asyncio.to_thread(shapes_of, one.given.tags, album.label_mode, one.width, one.height)
        await work.flush()
        await revise(work, [row for row in rows if shapes[row.id]], shapes, source="human", author=caller.user)
        changed(work, Kind.ALBUM, album.id, "registered", by=caller)
    return album


async def _look(core: Core, caller: Caller, number: int, given: Registered) -> _Looked:
    """Fetches and checks a picture. Its bytes are kept under their hash as well, where those of pictures lie."""
    field = f"pictureMetaList.{number}.filepath"
    key = given.path.removeprefix("/").removeprefix(f"{caller.organisation}/")
    folder = core.settings.work_dir / "uploads"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary) / "picture"
        try:
            source = f"{caller.organisation}/{key}"
            head = await core.objects.head(source)
            if head.size > core.settings.max_picture:
                raise BadInput(
                    "Picture is too large", field=field, value=head.size, fix=f"at most {core.settings.max_picture}"
                )
            await core.objects.download(source, path)
        except (ObjectMissing, BadKey):
            raise BadInput(
                "Picture was not found in the storage", field=field, value=given.path[:200], fix="store it first"
            ) from None
        decoded = await core.decoder.decode(path, field)
        sha256 = await asyncio.to_thread(_hash, path)
        kept = f"{caller.organisation}/pictures/{sha256}"
        await keep(core, kept, path, content_type=decoded.content_type, sha256=sha256)
    name = file_name(given.filename, f"pictureMetaList.{number}.filename")
    return _Looked(given, name, kept, sha256, head.size, decoded.content_type, decoded.width, decoded.height)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
