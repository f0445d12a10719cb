"""A disk that is full: the request is told so, nothing is half-written, and with room again it goes on. The disk is a
real one of a few megabytes; mounting it takes root."""

import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

SIZE = 12 << 20


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, but: int = 0) -> None:
        """Takes all room but about so many bytes."""
        room = shutil.disk_usage(self.folder).free - but
        with self._filler.open("ab", buffering=0) as file:
            while room > 0:
                try:
                    room -= file.write(b"\0" * min(room, 1 << 16))
                except OSError:
                    break

    def make_room(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def noise() -> bytes:
    """A picture of about 200 KB."""
    out = io.BytesIO()
    Image.frombytes("RGB", (256, 256), os.urandom(256 * 256 * 3)).save(out, "PNG")
    return out.getvalue()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


async def no_room_for(api: Any, album: str, content: bytes) -> str:
    send = {"files": {"file": ("x.png", content, "image/png")}, "data": {"filename": "x"}}
    error = await api.refused(507, "POST", f"/albums/{album}/uploadPicture", **send)
    return str(error["message"])


async def album(api: Any) -> str:
    return str((await api.ok("POST", "/albums", {"name": "Ships", "labelMode": "LOCALIZATION"}))["id"])


async def test_an_upload_that_finds_no_room_for_its_file(ana: Any, installation: Any, disk: Disk, noise: bytes) -> None:
    await installation.stop()
    await installation.start(state_dir=disk.folder)
    ana.http = installation.http()
    of = await album(ana)
    disk.fill(but=64 << 10)
    assert "no room left" in await no_room_for(ana, of, noise)
    assert files(installation.settings.work_dir) == [] and files(installation.folder / "objects" / "files") == []
    assert (await ana.ok("GET", f"/albums/{of}/pictures"))["count"] == 0
    disk.make_room()
    await ana.upload(of, "x", noise)
    assert (await ana.ok("GET", f"/albums/{of}/pictures"))["count"] == 1


async def test_an_upload_that_finds_no_room_among_the_objects(
    ana: Any, installation: Any, disk: Disk, noise: bytes
) -> None:
    await installation.stop()
    shutil.copytree(installation.folder / "objects", disk.folder / "objects")
    shutil.rmtree(installation.folder / "objects")
    (installation.folder / "objects").symlink_to(disk.folder / "objects")
    await installation.start()
    ana.http = installation.http()
    of, objects = await album(ana), disk.folder / "objects"
    for left in (64 << 10, 0):
        disk.fill(but=left)
        assert "no room left" in await no_room_for(ana, of, noise)
        assert files(installation.settings.work_dir) == files(objects / "files") == files(objects / "incoming") == []
    assert (await ana.ok("GET", f"/albums/{of}/pictures"))["count"] == 0
    disk.make_room()
    picture = await ana.upload(of, "x", noise)
    assert (await ana.http.get(picture["filepath"])).content == noise


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_that_cannot_grow(ana: Any, installation: Any, disk: Disk, png: Any) -> None:
    await installation.stop()
    for path in installation.folder.glob("baile.sqlite*"):
        shutil.copy(path, disk.folder / path.name)
    url = type(installation.settings.database_url)(f"sqlite:///{disk.folder / 'baile.sqlite'}")
    await installation.start(database_url=url)
    ana.http = installation.http()
    of = await album(ana)
    disk.fill()
    text = "x" * 9_000
    error = await ana.refused(507, "PUT", f"/albums/{of}", {"name": "Boats", "description": text})
    assert "no room left" in error["message"]
    problem = await ana.send("POST", "/v1/models", json={"name": "m", "description": text})
    assert problem.status_code == 507 and problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["type"] == "urn:studio9:problem:storage_full" and "once there is room" in problem.text
    assert "no room left" in await no_room_for(ana, of, png())
    assert files(installation.settings.work_dir) == []
    found = await ana.ok("GET", f"/albums/{of}")
    assert found["name"] == "Ships", "reading goes on, and nothing was half-written"
    disk.make_room()
    await ana.ok("PUT", f"/albums/{of}", {"name": "Boats", "description": text})
    await ana.ok("POST", "/v1/models", {"name": "m"})
    await ana.upload(of, "x", png())
    assert (await ana.ok("GET", f"/albums/{of}/pictures"))["count"] == 1
