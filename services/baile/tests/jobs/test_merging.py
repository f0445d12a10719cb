"""A merge is a process: followed, cancelled, gone on with after a restart, and ended with an album that can be used."""

from datetime import timedelta
from typing import Any

import pytest

from studio9_baile.jobs import merging
from studio9_baile.jobs.merging import Merger
from studio9_baile.repositories.system import Scope, SystemWork


@pytest.fixture
async def sources(ana: Any, png: Any) -> list[str]:
    """Two albums of three pictures, of which the first is labelled."""
    made = []
    for number, name in enumerate(("one", "two")):
        album = (await ana.ok("POST", "/albums", {"name": name, "labelMode": "LOCALIZATION"}))["id"]
        for picture in range(3):
            await ana.upload(album, f"{name} {picture}", png(colour=(number, picture, 0)))
        csv = f"{name} 0,ship,1,2,30,20\n".encode()
        await ana.ok("POST", f"/albums/{album}/uploadLabels", files={"file": ("l.csv", csv, "text/csv")})
        made.append(album)
    return made


async def merge(api: Any, sources: list[str], **options: Any) -> Any:
    body = {"name": "both", "labelMode": "LOCALIZATION", "copyPicturesFrom": sources, **options}
    return await api.ok("POST", "/albums", body)


async def ended(api: Any, until: Any, album: str) -> Any:
    async def process() -> Any:
        found = await api.ok("GET", f"/albums/{album}/process")
        return found if found["status"] not in ("QUEUED", "RUNNING") else None

    return await until(process)


async def names(api: Any, album: str) -> list[str]:
    return [one["filename"] for one in (await api.ok("GET", f"/albums/{album}/pictures?order=fileName"))["data"]]


CLAIM = SystemWork.claim_result


@pytest.fixture
async def by_hand(installation: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nothing is merged but by the returned function, which does one chunk of an album's merge."""

    async def results_only(system: SystemWork, lease: timedelta, *, merges: bool = False) -> Scope | None:
        return None if merges else await CLAIM(system, lease)

    monkeypatch.setattr(SystemWork, "claim_result", results_only)

    async def chunk(api: Any, album: str) -> bool:
        process = (await api.ok("GET", f"/albums/{album}/process"))["id"]
        core = installation.baile.core
        return await Merger(core)._chunk(Scope(core.tokens.read(api.token).organisation, process))

    return chunk


async def test_only_the_labelled_pictures_with_their_labels(ana: Any, sources: list[str], until: Any) -> None:
    merged = await merge(ana, sources, copyOnlyLabelledPictures=True)
    assert (await ended(ana, until, merged["id"]))["status"] == "COMPLETED"
    assert await names(ana, merged["id"]) == ["one 0", "two 0"]
    assert await ana.ok("GET", f"/albums/{merged['id']}/tags") == [{"label": "ship", "count": 2}]


async def test_it_can_be_followed_and_nobody_changes_the_album_meanwhile(
    ana: Any, sources: list[str], by_hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "CHUNK", 2)
    album = (await merge(ana, sources))["id"]
    assert (await ana.ok("GET", f"/albums/{album}/process"))["status"] == "QUEUED"
    seen = []
    while await by_hand(ana, album):
        process = await ana.ok("GET", f"/albums/{album}/process")
        assert (process["status"], "started" in process) == ("RUNNING", True)
        assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "UPLOADING"
        await ana.refused(409, "DELETE", f"/albums/{album}")
        seen.append(round(process["progress"], 2))
    assert seen == [0.33, 0.5, 0.5, 0.83, 0.99, 0.99]
    assert (await ana.ok("GET", f"/v1/jobs/{process['id']}"))["status"] == "COMPLETED"
    assert await names(ana, album) == ["one 0", "one 1", "one 2", "two 0", "two 1", "two 2"]


async def test_a_restart_goes_on_where_it_was(
    ana: Any, installation: Any, sources: list[str], by_hand: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "CHUNK", 2)
    monkeypatch.setattr(merging, "LEASE_S", 1.0)  # where others may share the database, its claim has to pass first
    album = (await merge(ana, sources))["id"]
    await by_hand(ana, album)
    assert await names(ana, album) == ["one 0", "one 1"]
    await installation.stop()
    monkeypatch.setattr(SystemWork, "claim_result", CLAIM)
    await installation.start()
    again = await installation.sign_in("ana")
    assert (await ended(again, until, album))["status"] == "COMPLETED"
    assert await names(again, album) == ["one 0", "one 1", "one 2", "two 0", "two 1", "two 2"]


async def test_a_cancelled_merge_leaves_an_album_that_can_be_used(
    ana: Any, sources: list[str], by_hand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "CHUNK", 2)
    album = (await merge(ana, sources))["id"]
    await by_hand(ana, album)
    process = (await ana.ok("GET", f"/albums/{album}/process"))["id"]
    await ana.ok("POST", f"/processes/{process}/cancel")
    assert await by_hand(ana, album) is False
    assert (await ana.ok("GET", f"/processes/{process}"))["status"] == "CANCELLED"
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"
    assert await names(ana, album) == ["one 0", "one 1"]
    await ana.refused(404, "POST", f"/processes/{process}/cancel")


async def test_a_source_that_is_deleted_meanwhile_is_named(ana: Any, sources: list[str], by_hand: Any) -> None:
    album = (await merge(ana, sources))["id"]
    await ana.ok("DELETE", f"/albums/{sources[1]}")
    while await by_hand(ana, album):
        pass
    process = await ana.ok("GET", f"/albums/{album}/process")
    assert process["status"] == "FAILED" and sources[1] in process["cause"]
    assert (await ana.ok("GET", f"/albums/{album}"))["status"] == "ACTIVE"
    assert await names(ana, album) == ["one 0", "one 1", "one 2"]
