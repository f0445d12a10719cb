"""A disk that is full, and a database that takes no changes: the request is told so, nothing is half-written, and with
room again it goes on. The disk is a real one of a few megabytes; mounting it takes root."""

import io
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from PIL import Image

from .conftest import NO_SERVER, POSTGRESQL

SIZE = 12 << 20
SERVERS_SIZE = 32 << 20
"""A database of PostgreSQL's takes some ten megabytes from the start."""
ON_POSTGRESQL = pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=NO_SERVER)], indirect=True)


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

    def open_to(self, folder: str) -> None:
        """Gives the disk to whom this folder belongs. Skips the test where that is another machine's."""
        if not Path(folder).exists():
            pytest.skip("the server of databases runs on another machine")
        owner = Path(folder).stat()
        os.chown(self.folder, owner.st_uid, owner.st_gid)
        self.folder.parent.chmod(0o755)


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    with tempfile.TemporaryDirectory(prefix="studio9-small-") as name:
        folder = Path(name) / "small"
        folder.mkdir()
        size = getattr(request, "param", SIZE)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
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


async def refused_and_taken_again(api: Any, disk: Disk, of: str, work_dir: Path, content: bytes) -> None:
    """Whatever needs room in the database is told that there is none, until there is."""
    disk.fill()
    text = secrets.token_hex(5_000)
    error = await api.refused(507, "PUT", f"/albums/{of}", {"name": "Boats", "description": text})
    assert "no room left" in error["message"]
    problem = await api.send("POST", "/v1/models", json={"name": "m", "description": text})
    assert problem.status_code == 507 and problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["type"] == "urn:studio9:problem:storage_full" and "once there is room" in problem.text
    found = await api.ok("GET", f"/albums/{of}")
    assert found["name"] == "Ships", "reading goes on, and nothing was half-written"
    assert files(work_dir) == []
    disk.make_room()
    await api.ok("PUT", f"/albums/{of}", {"name": "Boats", "description": text})
    await api.ok("POST", "/v1/models", {"name": "m", "description": text})
    await api.upload(of, "x", content)
    assert (await api.ok("GET", f"/albums/{of}/pictures"))["count"] == 1


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
    assert "no room left" in await no_room_for(ana, of, png())
    assert files(installation.settings.work_dir) == []
    disk.make_room()
    await refused_and_taken_again(ana, disk, of, installation.settings.work_dir, png())


@asynccontextmanager
async def asking() -> AsyncIterator[Any]:
    """A superuser's connection to the server."""
    connection = await asyncpg.connect(POSTGRESQL)
    try:
        yield connection
    finally:
        await connection.close()


@ON_POSTGRESQL
@pytest.mark.parametrize("disk", [SERVERS_SIZE], indirect=True)
async def test_a_server_of_databases_whose_disk_is_full(
    ana: Any, installation: Any, database_url: str, disk: Disk, png: Any
) -> None:
    name, place = database_url.rpartition("/")[2], f"small_{secrets.token_hex(4)}"
    async with asking() as server:
        disk.open_to(await server.fetchval("SHOW data_directory"))
        await installation.stop()
        await server.execute(f"CREATE TABLESPACE {place} LOCATION '{disk.folder}'")
        try:
            await server.execute(f"ALTER DATABASE {name} SET TABLESPACE {place}")
            await installation.start()
            ana.http = installation.http()
            await refused_and_taken_again(ana, disk, await album(ana), installation.settings.work_dir, png())
        finally:  # also where it has failed: a server that keeps a place which is gone cannot be used again
            await installation.stop()
            await server.execute(f"ALTER DATABASE {name} SET TABLESPACE pg_default")
            await server.execute(f"DROP TABLESPACE {place}")
    await installation.start()


@ON_POSTGRESQL
async def test_a_server_of_databases_that_takes_no_changes(
    ana: Any, installation: Any, database_url: str, until: Any
) -> None:
    name, of = database_url.rpartition("/")[2], await album(ana)
    async with asking() as server:
        await server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await server.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name)
        error = await ana.refused(503, "PUT", f"/albums/{of}", {"name": "Boats"})
        assert "takes no changes" in error["message"]
        problem = await ana.send("POST", "/v1/models", json={"name": "m"})
        assert (problem.status_code, problem.json()["title"]) == (503, "database read only")
        assert int(problem.headers["retry-after"]) > 0
        assert (await ana.ok("GET", f"/albums/{of}"))["name"] == "Ships"
        await server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

    async def taken() -> bool:
        return bool((await ana.send("PUT", f"/albums/{of}", json={"name": "Boats"})).is_success)

    await until(taken)
