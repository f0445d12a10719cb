"""A project out of a platform, by what its public API gives to the user who asks."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from studio9_cli.demo.api import Api
from studio9_cli.projects.layout import FORMAT, ProjectFolder, suffix_of, write_json

AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Exported:
    """Where it is, and how much."""

    folder: Path
    albums: int
    pictures: int
    models: int
    experiments: int


async def export_project(api: Api, project: str, to: Path) -> Exported:
    """Writes a project below `to`; what an earlier export has written is replaced. Raises ApiError and NotAProject.

    Of a model its facts are written, not its weights: they stay where the platform keeps them.
    """
    told = await api.get(f"/v2.0/projects/{project}")
    folder = ProjectFolder.of(to, project)
    await asyncio.to_thread(folder.make)
    albums = await api.everything("/v2.0/albums", projectId=project, scope="all")
    models = await api.everything("/v2.0/cv-models", projectId=project, scope="all")
    experiments = await api.everything("/v2.0/experiments", projectId=project, scope="all")
    kept = [await _album(api, folder, album) for album in albums]
    for where, found in ((folder.models, models), (folder.analysis, experiments)):
        for one in found:
            await asyncio.to_thread(write_json, where / f"{one['id']}.json", one)
    facts = {"format": FORMAT, "id": project, "name": told["name"], "albums": kept}
    await asyncio.to_thread(write_json, folder.facts, facts)
    pictures = sum(len(album["pictures"]) for album in kept)
    return Exported(folder.root, len(albums), pictures, len(models), len(experiments))


async def _album(api: Api, folder: ProjectFolder, album: dict[str, Any]) -> dict[str, Any]:
    """Writes an album's pictures and labels; what importing needs to know of it."""
    place = folder.pictures(album["id"])
    await asyncio.to_thread(place.mkdir, exist_ok=True)
    pictures = await api.everything(f"/v2.0/albums/{album['id']}/pictures")
    room = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=60) as http:

        async def fetch(picture: dict[str, Any]) -> dict[str, Any]:
            async with room:
                answer = (await http.get(picture["filepath"])).raise_for_status()
            name = f"{picture['id']}{suffix_of(answer.headers.get('content-type', ''))}"
            await asyncio.to_thread((place / name).write_bytes, answer.content)
            return {"file": name, "filename": picture["filename"], "caption": picture.get("caption")}

        files = await asyncio.gather(*map(fetch, pictures))
    labels = await api.text(f"/v2.0/albums/{album['id']}/export")
    await asyncio.to_thread(folder.labels(album["id"]).write_text, labels, encoding="utf-8")
    known = {name: album.get(name) for name in ("id", "name", "labelMode", "description")}
    return known | {"pictures": files}
