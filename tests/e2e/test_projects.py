"""A project as folders on a disk: out of the embedded platform, and into it again."""

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import pytest

from studio9_cli.commands import project as command
from studio9_cli.demo.api import Api
from studio9_cli.demo.digits import Page, build_pages
from studio9_cli.demo.journey import labels_csv
from studio9_cli.demo.runner import DemoOptions, sign_in, start, stop
from studio9_cli.main import main
from studio9_cli.platform.operators import Operators
from studio9_cli.platform.state import StateFolder
from studio9_cli.projects.exporting import export_project
from studio9_cli.projects.importing import import_project
from studio9_cli.projects.layout import NotAProject, ProjectFolder

ODD = 'a name, with "quotes" and an \u00e4'


@pytest.mark.usefixtures("trainers_python")
async def test_a_project_goes_out_and_comes_back(tmp_path: Path) -> None:
    options = DemoOptions(state=tmp_path / "state", port=0)
    process, running = await start(options)
    api = Api(running.baile, patience_s=30)
    try:
        async with Operators.of(options.state) as operators:
            await sign_in(api, operators, StateFolder(options.state))
        pages = await asyncio.to_thread(build_pages, tmp_path / "pages", 3, 96)
        project = await filled(api, pages)
        out = await export_project(api, project, tmp_path)
        assert (out.albums, out.pictures, out.models, out.experiments) == (1, 4, 0, 0)
        folder = ProjectFolder(out.folder)
        assert out.folder == tmp_path / "projects" / f"project-{project}"
        assert {path.name for path in out.folder.iterdir()} == {
            "annotations", "analysis", "input_images", "models", "project.json"
        }  # fmt: skip
        (album,) = folder.read()["albums"]
        files = sorted(folder.pictures(album["id"]).iterdir())
        assert {path.suffix for path in files} == {".png"}
        assert {path.read_bytes() for path in files} == {page.path.read_bytes() for page in pages}
        back = await import_project(api, out.folder, "Again")
        assert (back.albums, back.pictures) == (1, 4)
        again = ProjectFolder((await export_project(api, back.project, tmp_path)).folder)
        assert again.read()["name"] == "Again"
        (copy,) = again.read()["albums"]
        assert (album["name"], copy["name"], copy["labelMode"]) == ("Digits", "Digits (2)", "LOCALIZATION")
        assert labels(again, copy) == labels(folder, album)
        assert {one["filename"] for one in copy["pictures"]} == {ODD, *(page.path.stem for page in pages)}
    finally:
        await api.close()
        if process is not None:
            await asyncio.to_thread(stop, process)


async def filled(api: Api, pages: list[Page]) -> str:
    """A project with one album of labelled pages, and one picture more under an odd name."""
    album = (await api.post("/v2.0/albums", {"name": "Digits", "labelMode": "LOCALIZATION"}))["id"]
    for page in pages:
        await api.upload_picture(album, page.path.stem, page.path.read_bytes())
    await api.upload_picture(album, ODD, pages[0].path.read_bytes())
    await api.upload_labels(album, labels_csv(pages))
    project = str((await api.post("/v2.0/projects", {"name": "Numbers"}))["id"])
    await api.put(f"/v2.0/projects/{project}/albums/{album}", {})
    return project


def labels(folder: ProjectFolder, album: dict[str, Any]) -> list[list[str]]:
    """Its labels, in an order of their own."""
    return sorted(csv.reader(folder.labels(album["id"]).read_text().splitlines()))


def test_what_is_no_project_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ProjectFolder.of(tmp_path, "p1")
    with pytest.raises(NotAProject):
        folder.read()
    with pytest.raises(NotAProject):
        ProjectFolder.of(tmp_path, "../p1")
    folder.make()
    folder.facts.write_text(json.dumps({"format": 99}))
    token = tmp_path / "token"
    token.write_text("t")
    given = ["import", str(folder.root), "--url", "http://127.0.0.1:1", "--token-file", str(token)]
    assert main(["project", *given]) == 1
    assert "format 1" in capsys.readouterr().err
    assert command.__doc__
