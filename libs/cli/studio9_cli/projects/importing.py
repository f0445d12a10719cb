"""An exported project into a platform, as a new project of the user who asks."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from studio9_cli.demo.api import Api
from studio9_cli.projects.layout import NotAProject, ProjectFolder

AT_ONCE = 4
HEAD_ONLY = 1
"""Lines of a labels file without labels."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The new project, and how much came into it."""

    project: str
    albums: int
    pictures: int


async def import_project(api: Api, folder: Path, name: str | None = None) -> Imported:
    """Makes the albums with their pictures and labels; models and analyses are for people to read.

    `name`: the new project's, else its old one; a name that is taken gets a number. Raises NotAProject and ApiError.
    """
    source = ProjectFolder(folder)
    facts = await asyncio.to_thread(source.read)
    projects = {one["name"] for one in (await api.get("/v2.0/projects"))["data"]}
    albums = {one["name"] for one in await api.everything("/v2.0/albums", scope="all")}
    project = (await api.post("/v2.0/projects", {"name": free(name or facts["name"], projects)}))["id"]
    for album in facts["albums"]:
        own = free(album["name"], albums)
        albums.add(own)
        made = await _album(api, source, album | {"name": own})
        await api.put(f"/v2.0/projects/{project}/albums/{made}", {})
    return Imported(project, len(facts["albums"]), sum(len(album["pictures"]) for album in facts["albums"]))


def free(name: str, taken: Collection[str]) -> str:
    """The name, or the first of `name (2)`, `name (3)`, … that is not taken."""
    if name not in taken:
        return name
    return next(other for other in (f"{name} ({number})" for number in count(2)) if other not in taken)


async def _album(api: Api, source: ProjectFolder, album: dict[str, Any]) -> str:
    body = {key: album[key] for key in ("name", "labelMode", "description") if album.get(key) is not None}
    made = str((await api.post("/v2.0/albums", body))["id"])
    place, room = source.pictures(album["id"]), asyncio.Semaphore(AT_ONCE)

    async def upload(picture: dict[str, Any]) -> None:
        path = place / picture["file"]
        if path.parent != place or path.is_symlink():
            raise NotAProject(f"{picture['file']!r} is no file of this album", field="file", value=picture["file"])
        async with room:
            await api.upload_picture(made, picture["filename"], await asyncio.to_thread(path.read_bytes))

    await asyncio.gather(*map(upload, album["pictures"]))
    labels = await asyncio.to_thread(source.labels(album["id"]).read_text, encoding="utf-8")
    if len(labels.splitlines()) > HEAD_ONLY:
        await api.upload_labels(made, labels)
    return made
