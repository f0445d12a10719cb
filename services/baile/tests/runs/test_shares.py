"""Shares: read only, with what the asset needs, until they are ended."""

from typing import Any

import pytest

from ..conftest import PASSWORD


@pytest.fixture
async def di(ana: Any, installation: Any) -> Any:
    """A colleague."""
    body = {"username": "di", "email": "di@lab.test", "password": PASSWORD, "firstName": "Di", "lastName": "Ny"}
    await ana.ok("POST", "/users", body)
    return await installation.sign_in("di")


async def share(api: Any, kind: str, asset: str, email: str = "di@lab.test") -> Any:
    return await api.ok("POST", "/shares", {"assetId": asset, "assetType": kind, "recipientEmail": email})


async def test_a_shared_album_can_be_read_and_cloned_and_nothing_else(
    ana: Any, bo: Any, di: Any, albums: dict[str, str]
) -> None:
    album = albums["train"]
    await di.refused(403, "GET", f"/albums/{album}")
    made = await share(ana, "ALBUM", album)
    me, her = await di.ok("GET", "/me"), await ana.ok("GET", "/me")
    assert made == {
        "id": made["id"], "ownerId": her["id"], "name": "train", "created": made["created"],
        "updated": made["updated"], "recipientId": me["id"], "recipientEmail": "di@lab.test", "assetType": "ALBUM",
        "assetId": album,
    }  # fmt: skip
    assert await di.ok("GET", "/me/shares") == {"data": [made], "count": 1}
    assert (await ana.ok("GET", "/me/shares"))["count"] == 0
    for path in ("", "/pictures", "/tags", "/export"):
        await di.refused(403, "GET", f"/albums/{album}{path}")
        assert (await di.send("GET", f"/albums/{album}{path}?shared_resource_id={made['id']}")).status_code == 200
    picture = (await ana.ok("GET", f"/albums/{album}/pictures"))["data"][0]["id"]
    assert await di.ok("GET", f"/albums/{album}/pictures/{picture}?shared_resource_id={made['id']}")
    clone = await di.ok("POST", f"/albums/{album}/copy?shared_resource_id={made['id']}", {"name": "mine"})
    assert clone["ownerId"] == me["id"]
    for method, path in (("PUT", ""), ("DELETE", ""), ("DELETE", f"/pictures/{picture}")):
        body = {"json": {"name": "x"}} if method == "PUT" else {}
        await di.refused(403, method, f"/albums/{album}{path}?shared_resource_id={made['id']}", **body)
    await di.refused(403, "POST", "/shares", {"assetId": album, "assetType": "ALBUM", "recipientEmail": "x@lab.test"})
    names = {scope: sorted(one["name"] for one in (await di.ok("GET", f"/albums?scope={scope}"))["data"])
             for scope in ("personal", "shared", "all")}  # fmt: skip
    assert names == {"personal": ["mine"], "shared": ["train"], "all": ["mine", "train"]}
    assert (await di.ok("GET", "/me/stats?scope=all"))["albumsCount"] == 2
    await bo.refused(404, "GET", f"/albums/{album}?shared_resource_id={made['id']}")
    await bo.refused(404, "GET", f"/shares/{made['id']}")
    await di.refused(403, "DELETE", f"/shares/{made['id']}")
    assert await ana.ok("DELETE", f"/shares/{made['id']}") == {"id": made["id"]}
    await di.refused(403, "GET", f"/albums/{album}?shared_resource_id={made['id']}")


async def test_a_share_opens_what_its_asset_shows_and_no_more(
    ana: Any, di: Any, workers: Any, model: str, albums: dict[str, str], until: Any
) -> None:
    body = {"modelId": model, "name": "Check", "input": albums["plain"], "outputAlbumName": "Out"}
    prediction = await ana.ok("POST", "/cv-predictions", body)
    made = await share(ana, "CV_PREDICTION", prediction["id"])
    suffix = f"?shared_resource_id={made['id']}"
    for path in (f"/cv-predictions/{prediction['id']}", f"/cv-models/{model}",
                 f"/albums/{prediction['output']}/pictures",
                 f"/albums/{albums['plain']}"):  # fmt: skip
        assert await di.ok("GET", path + suffix)
        await di.refused(403, "GET", path)
    await di.refused(403, "GET", f"/albums/{albums['train']}{suffix}")
    experiment = (await ana.ok("GET", f"/cv-models/{model}"))["experimentId"]
    await di.refused(403, "GET", f"/experiments/{experiment}{suffix}")
    suffix = f"?shared_resource_id={(await share(ana, 'EXPERIMENT', experiment))['id']}"
    result = (await di.ok("GET", f"/experiments/{experiment}{suffix}"))["result"]["step1"]
    for path in (f"/albums/{albums['train']}", f"/albums/{result['output']}", f"/cv-models/{model}"):
        assert await di.ok("GET", path + suffix)
    await di.refused(403, "GET", f"/albums/{albums['empty']}{suffix}")


async def test_lists_and_people(ana: Any, di: Any, bo: Any, albums: dict[str, str]) -> None:
    known = await share(ana, "ALBUM", albums["train"])
    unknown = await share(ana, "ALBUM", albums["train"], "bo@lab.test")
    assert "recipientId" not in unknown, "another organisation's user is nobody here"
    assert (await bo.ok("GET", "/me/shares"))["count"] == 0
    await share(ana, "ALBUM", albums["plain"])
    assert (await ana.ok("GET", f"/shares?asset_id={albums['train']}&asset_type=ALBUM"))["count"] == 2
    assert ((await ana.ok("GET", "/shares"))["count"], (await di.ok("GET", "/shares"))["count"]) == (3, 2)
    assert await di.ok("GET", f"/shares/{known['id']}") == known
    giver = await di.ok("GET", f"/shares/{known['id']}/owner")
    assert set(giver) == {"id", "email", "firstName", "lastName"} and giver["email"] == "ana@lab.test"
    assert (await ana.ok("GET", f"/shares/{known['id']}/recipient"))["firstName"] == "Di"
    nobody = {"id": "", "email": "bo@lab.test", "firstName": "", "lastName": ""}
    assert await ana.ok("GET", f"/shares/{unknown['id']}/recipient") == nobody
    for body, status in (
        ({"assetId": albums["train"], "assetType": "ALBUM", "recipientEmail": "di@lab.test"}, 400),
        ({"assetId": albums["train"], "assetType": "ALBUM", "recipientEmail": "ana@lab.test"}, 400),
        ({"assetId": albums["train"], "assetType": "ALBUM"}, 400),
        ({"assetId": albums["train"], "assetType": "ALBUM", "recipientEmail": "no address"}, 400),
        ({"assetId": albums["train"], "assetType": "DC_PROJECT", "recipientEmail": "di@lab.test"}, 400),
        ({"assetId": "nothing", "assetType": "ALBUM", "recipientEmail": "di@lab.test"}, 404),
        ({"assetId": albums["plain"], "assetType": "ALBUM", "recipientId": "nobody"}, 404),
    ):
        await ana.refused(status, "POST", "/shares", body)
    await ana.ok("DELETE", f"/albums/{albums['train']}")
    assert (await ana.ok("GET", "/shares"))["count"] == 1, "the shares of a deleted asset end with it"
