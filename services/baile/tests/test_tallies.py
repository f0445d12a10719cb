"""Tallies are what counting gives, whatever is done to pictures and labels; lists are the same from both ends."""

import random
from typing import Any

from sqlalchemy import text

from studio9_baile.database import engine_for
from studio9_baile.jobs.tallying import Tallier

COUNTED = {
    "pictures": "SELECT count(*) FROM pictures WHERE album = :album",
    "bytes": "SELECT coalesce(sum(size), 0) FROM pictures WHERE album = :album",
    "labelled": "SELECT count(DISTINCT picture) FROM picture_labels WHERE album = :album AND NOT predicted",
    "ship": "SELECT count(*) FROM picture_labels WHERE album = :album AND label = 'ship' AND NOT predicted",
}


async def counted(installation: Any, album: str) -> dict[str, int]:
    engine = engine_for(installation.settings.database)
    async with engine.connect() as connection:
        found = {
            name: (await connection.execute(text(sql), {"album": album})).scalar() for name, sql in COUNTED.items()
        }
    await engine.dispose()
    return found  # type: ignore[return-value]  # a count is a number


async def tallied(installation: Any, api: Any, album: str) -> dict[str, int]:
    core = installation.baile.core
    organisation = core.tokens.read(api.token).organisation
    async with core.database.read(organisation) as work:
        return {
            "pictures": await work.tallies.pictures(album),
            "bytes": (await work.tallies.of(album)).bytes,
            "labelled": await work.tallies.labelled(album, False),
            "ship": await work.tallies.with_label(album, False, "ship"),
        }


async def test_tallies_follow_every_change(installation: Any, ana: Any, png: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    pictures = [(await ana.upload(album, f"p{n}", png(colour=(n, 1, 1))))["id"] for n in range(12)]
    chance = random.Random(7)
    area = {"top": 1, "left": 1, "width": 5, "height": 5}
    for _ in range(30):
        one = chance.choice(pictures)
        labels = chance.sample(["ship", "buoy", "ship"], chance.randint(0, 3))
        await ana.ok("PUT", f"/albums/{album}/pictures/{one}", {"tags": [{"label": n, "area": area} for n in labels]})
    assert await tallied(installation, ana, album) == await counted(installation, album)
    while await Tallier(installation.baile.core).step():
        pass
    for one in pictures[:5]:
        await ana.ok("DELETE", f"/albums/{album}/pictures/{one}")
    now = await counted(installation, album)
    assert now["pictures"] == 7 and await tallied(installation, ana, album) == now
    unlabelled = [one["count"] for one in await ana.ok("GET", f"/albums/{album}/tags") if not one["label"]]
    assert sum(unlabelled) == 7 - now["labelled"]
    for labels, wanted in (("ship", now["ship"]), ("", 7 - now["labelled"])):
        listed = await ana.ok("GET", f"/albums/{album}/pictures?labels={labels}&page_size=2")
        assert listed["count"] == wanted
    await ana.ok("DELETE", f"/albums/{album}")
    while await Tallier(installation.baile.core).step():
        pass
    assert await tallied(installation, ana, album) == {"pictures": 0, "bytes": 0, "labelled": 0, "ship": 0}


async def test_a_list_is_the_same_from_both_ends(ana: Any, png: Any) -> None:
    album = (await ana.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    for n in (3, 1, 2, 1, 0):
        await ana.upload(album, f"p{n}", png(colour=(n, 1, 1)))
    for order in ("", "fileName", "-fileName", "caption,-fileName", "-predictedTags.confidence", "tags.label"):
        whole = (await ana.ok("GET", f"/albums/{album}/pictures?order={order}&page_size=100"))["data"]
        pages: list[Any] = []
        for page in range(1, 5):
            pages += (await ana.ok("GET", f"/albums/{album}/pictures?order={order}&page_size=2&page={page}"))["data"]
        assert [one["id"] for one in pages] == [one["id"] for one in whole] and len(whole) == 5
