"""Administrators change and delete users; what a deleted one owned goes to another."""

from typing import Any

import pytest

from .conftest import PASSWORD


@pytest.fixture
async def di(ana: Any, installation: Any) -> Any:
    """A user without rights over others."""
    body = {"username": "di", "email": "di@lab.test", "password": PASSWORD, "firstName": "Di", "lastName": "Ny"}
    await ana.ok("POST", "/users", body)
    return await installation.sign_in("di")


async def test_an_administrator_changes_a_user(ana: Any, di: Any, bo: Any, installation: Any) -> None:
    user = await di.ok("GET", "/me")
    path = f"/users/{user['id']}"
    changed = await ana.ok("PUT", path, {"firstName": "Diana", "email": "diana@lab.test", "role": "ADMIN"})
    assert changed == {**user, "firstName": "Diana", "email": "diana@lab.test", "role": "ADMIN",
                       "updated": changed["updated"]}  # fmt: skip
    assert (await ana.refused(400, "PUT", path, {"username": "ANA"}))["errors"][0]["field"] == "username"
    assert (await ana.refused(400, "PUT", path, {"email": "no"}))["errors"][0]["field"] == "email"
    assert (await ana.refused(400, "PUT", path, {"password": "short"}))["errors"][0]["field"] == "password"
    await ana.ok("PUT", path, {"password": "Another-horse-9"})
    await di.refused(401, "GET", "/me")
    await bo.refused(404, "PUT", path, {"firstName": "Mine"})
    mine = await ana.ok("GET", "/me")
    await ana.refused(400, "PUT", f"/users/{mine['id']}", {"role": "USER"})
    assert (await ana.ok("PUT", f"/users/{mine['id']}", {"role": "ADMIN", "lastName": "Le"}))["role"] == "ADMIN"


async def test_only_administrators_do(ana: Any, di: Any) -> None:
    user = (await ana.ok("GET", "/me"))["id"]
    await di.refused(401, "PUT", f"/users/{user}", {"firstName": "X"})
    await di.refused(401, "DELETE", f"/users/{user}")


async def test_a_deleted_users_assets_go_to_another(ana: Any, di: Any, bo: Any) -> None:
    user, heir = (await di.ok("GET", "/me"))["id"], (await ana.ok("GET", "/me"))["id"]
    body = {"name": "Ships", "labelMode": "LOCALIZATION"}
    hers, his = await ana.ok("POST", "/albums", body), await di.ok("POST", "/albums", body)
    project = await di.ok("POST", "/projects", {"name": "Harbour"})
    await ana.ok("POST", "/shares", {"assetType": "ALBUM", "assetId": hers["id"], "recipientEmail": "di@lab.test"})
    await di.ok("POST", "/shares", {"assetType": "ALBUM", "assetId": his["id"], "recipientEmail": "ana@lab.test"})
    error = await ana.refused(400, "DELETE", f"/users/{user}")
    assert error["message"].startswith("User has assets") and error["errors"][0]["field"] == "transferOwnershipTo"
    stranger = (await bo.ok("GET", "/me"))["id"]
    await ana.refused(400, "DELETE", f"/users/{user}?transferOwnershipTo={stranger}")
    assert await ana.ok("DELETE", f"/users/{user}?transferOwnershipTo={heir}") == {"id": user}
    assert sorted(one["name"] for one in (await ana.ok("GET", "/albums"))["data"]) == ["Ships", "Ships 1"]
    assert (await ana.ok("GET", f"/albums/{his['id']}"))["ownerId"] == heir
    assert (await ana.ok("GET", f"/projects/{project['id']}"))["ownerId"] == heir
    assert (await ana.ok("GET", "/shares"))["count"] == 0
    await ana.refused(404, "GET", f"/users/{user}")
    await di.refused(401, "GET", "/me")
    await ana.refused(400, "DELETE", f"/users/{heir}")
