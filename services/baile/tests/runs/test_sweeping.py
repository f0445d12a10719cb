"""Objects that nothing names are removed, each by one remover; what is named, or about to be, stays."""

import ast
import asyncio
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio9_baile.jobs.sweeping import OF_JOBS, PLACES, Sweeper
from studio9_common.ids import new_id
from studio9_common.objects.port import ObjectMissing

ROOT = Path(__file__).parents[4]
ORION = ROOT / "services/orion/studio9_orion/core/keeping.py"
"""What Orion removes with a job."""


def places(path: Path) -> Iterator[str]:
    """Second parts of keys that begin with an organisation and are written out in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr) and len(node.values) > 1:
            first, second = node.values[:2]
            if isinstance(first, ast.FormattedValue) and isinstance(second, ast.Constant):
                found = re.match(r"/([a-z_]+)/", str(second.value))
                if found and re.search(r"organisation|\borg\b|\btenant\b", ast.unparse(first.value)):
                    yield found[1]


def test_every_place_that_is_written_to_has_one_remover() -> None:
    """A new place fails here until somebody removes what is left there."""
    modules = [*ROOT.glob("services/*/studio9_*/**/*.py"), *ROOT.glob("libs/common/studio9_common/**/*.py")]
    written = {place for path in modules for place in places(path)}
    orions = set(places(ORION))
    assert orions == {"jobs", "scratch"}
    assert written == set(PLACES) | orions
    assert set(PLACES) & orions == {"scratch"} <= set(OF_JOBS), "there Baile leaves alone what has a job"


@pytest.fixture
def sweep(installation: Any) -> Any:
    """Sweeps so often; age does not matter, so that one sweep marks and the next removes."""

    async def run(times: int = 1) -> None:
        core = installation.baile.core
        at_once = replace(core, settings=core.settings.model_copy(update={"orphan_age_s": 0.0}))
        for _ in range(times):
            await Sweeper(at_once).step()

    return run


@pytest.fixture
def organisation(installation: Any, ana: Any) -> str:
    return str(installation.baile.core.tokens.read(ana.token).organisation)


@pytest.fixture
def there(installation: Any, organisation: str) -> Any:
    async def look(key: str) -> bool:
        try:
            await installation.objects.head(f"{organisation}/{key}")
        except ObjectMissing:
            return False
        return True

    return look


def place_of(content: bytes) -> str:
    return f"pictures/{hashlib.sha256(content).hexdigest()}"


async def test_bytes_of_pictures_go_with_the_last_that_shows_them(
    ana: Any, png: Any, sweep: Any, there: Any, installation: Any
) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    contents = [png(colour=(n, 1, 1)) for n in range(4)]
    ids = [(await ana.upload(album, f"p{n}", content))["id"] for n, content in enumerate(contents)]
    await ana.ok("POST", f"/albums/{album}/copy", {"name": "copy", "pictureIds": [ids[1]]})
    other = (await ana.ok("POST", "/albums", {"name": "b", "labelMode": "LOCALIZATION"}))["id"]
    await ana.upload(other, "p2", contents[2])
    await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": other}})
    await ana.ok("DELETE", f"/albums/{other}")
    for one in ids[:3]:
        await ana.ok("DELETE", f"/albums/{album}/pictures/{one}")
    await Sweeper(installation.baile.core).step()
    await sweep()
    assert all([await there(place_of(content)) for content in contents]), "the first look only marks"
    await sweep(2)
    assert [await there(place_of(content)) for content in contents] == [
        False,
        True,  # the copy's
        True,  # a dataset version names it
        True,
    ]


async def test_no_picture_goes_while_a_manifest_is_missing(
    ana: Any, png: Any, sweep: Any, there: Any, installation: Any, organisation: str
) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    contents = [png(colour=(n, 1, 1)) for n in range(2)]
    ids = [(await ana.upload(album, f"p{n}", content))["id"] for n, content in enumerate(contents)]
    await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": album}})
    async with installation.baile.core.database.read(organisation) as work:
        (manifest,) = await work.manifests.all()
    kept = await installation.objects.get(manifest.key)
    await installation.objects.delete(manifest.key)
    await ana.ok("DELETE", f"/albums/{album}/pictures/{ids[0]}")
    later = await ana.upload(album, "later", unnamed := png(colour=(9, 9, 9)))
    await ana.ok("DELETE", f"/albums/{album}/pictures/{later['id']}")
    await sweep(3)
    assert await there(place_of(contents[0])) and await there(place_of(unnamed)), "what it named is not known"
    await installation.objects.put(manifest.key, kept)
    await sweep(2)
    assert await there(place_of(contents[0])) and not await there(place_of(unnamed))


async def test_what_comes_again_stays(ana: Any, png: Any, sweep: Any, there: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    content = png()
    first = (await ana.upload(album, "p", content))["id"]
    await ana.ok("DELETE", f"/albums/{album}/pictures/{first}")
    await sweep()
    await ana.upload(album, "again", content)
    await sweep(3)
    assert await there(place_of(content))


async def test_what_comes_while_it_is_removed_is_stored_again(
    ana: Any, png: Any, sweep: Any, there: Any, installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    content = png()
    first = (await ana.upload(album, "p", content))["id"]
    await ana.ok("DELETE", f"/albums/{album}/pictures/{first}")
    await sweep()
    removing, go_on = asyncio.Event(), asyncio.Event()
    delete = installation.objects.delete

    async def slowly(key: str) -> None:
        removing.set()
        await go_on.wait()
        await delete(key)

    with monkeypatch.context() as patched:
        patched.setattr(installation.objects, "delete", slowly)
        sweeping = asyncio.create_task(sweep())
        async with asyncio.timeout(60):
            await removing.wait()
            coming = asyncio.create_task(ana.upload(album, "again", content))
            done, _ = await asyncio.wait([coming], timeout=0.2)
            assert not done, "who stores the same bytes waits for the end of the removal"
            go_on.set()
            await sweeping
            await coming
    assert await there(place_of(content))
    await sweep(2)
    assert await there(place_of(content))


async def test_files_weights_and_what_a_crash_has_left(
    ana: Any, model: str, sweep: Any, there: Any, installation: Any, organisation: str
) -> None:
    async with installation.baile.core.database.read(organisation) as work:
        version = await work.versions.latest_of(model)
    weights = version.artifact_key.partition("/")[2]
    made = await ana.ok("POST", "/datasets", {"name": "Notes"})
    for name in ("a", "b"):
        await ana.ok("POST", f"/datasets/{made['id']}/files", files={"file": (name, name.encode(), "text/plain")})
    files = {name: f"files/{hashlib.sha256(name.encode()).hexdigest()}" for name in ("a", "b")}
    await ana.ok("DELETE", f"/datasets/{made['id']}/files/a")
    job, nobodys = new_id(), new_id()
    installation.stand_ins.documents["jobs"] = {job: {}}
    kept = [f"scratch/{job}/x", f"online/{job}/manifest.jsonl", weights, files["b"], f"uploads/{nobodys}"]
    gone = [
        f"scratch/{nobodys}/labels.csv", f"online/{nobodys}/manifest.jsonl", f"datasets/{nobodys}/train.jsonl",
        f"models/{nobodys}/model.pt", files["a"],
    ]  # fmt: skip
    for key in (*kept, *gone):
        if not await there(key):
            await installation.objects.put(f"{organisation}/{key}", b"x")
    await sweep(2)
    assert [key for key in kept if not await there(key)] == []
    assert [key for key in gone if await there(key)] == []
    async with installation.baile.core.database.read(organisation) as work:
        assert await work.orphans.all() == []
