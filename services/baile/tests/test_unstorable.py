"""Texts that no database takes: a NUL, or half of a surrogate pair. They are refused at the door, naming the field."""

import json
from typing import Any

import pytest

HALF = b'"\\ud800"'
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("text", [HALF, b'"a\\u0000b"'])
async def test_in_a_body_wherever_they_stand(ana: Any, png: Any, text: bytes) -> None:
    album = await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "LOCALIZATION"})
    picture = await ana.upload(album["id"], "one", png(20, 20))
    path = f"/albums/{album['id']}/pictures/{picture['id']}"
    for method, where, body, field in (
        ("POST", "/signin", b'{"username": %s, "password": "x"}', "username"),
        ("POST", "/albums", b'{"name": %s, "labelMode": "LOCALIZATION"}', "name"),
        ("PUT", path, b'{"caption": %s}', "caption"),
        (
            "PUT",
            path,
            b'{"tags": [{"label": %s, "area": {"top": 0, "left": 0, "height": 5, "width": 5}}]}',
            "tags.0.label",
        ),
        ("POST", "/experiments", b'{"name": "a", "type": "CVTLTrain", "pipeline": {"b": [%s]}}', "pipeline.b.0"),
        ("POST", "/experiments", b'{"name": "a", "type": "CVTLTrain", "pipeline": {%s: 1}}', "pipeline"),
    ):
        error = await ana.refused(400, method, where, content=body % text, headers=JSON)
        assert error["errors"][0]["field"] == field and field in error["message"]
    assert (await ana.ok("GET", path))["tags"] == []
    assert (await ana.ok("GET", "/experiments"))["count"] == 0


async def test_other_characters_stay_as_they_are(ana: Any) -> None:
    name = "Züge 🐸 猫"
    assert (await ana.ok("POST", "/albums", {"name": name, "labelMode": "LOCALIZATION"}))["name"] == name


async def test_in_an_address(ana: Any) -> None:
    album = await ana.ok("POST", "/albums", {"name": "Ships", "labelMode": "LOCALIZATION"})
    await ana.refused(404, "GET", "/albums/a%00b")
    for query in ("search=%00", "search=a%00", "projectId=%00", "order=%00"):
        error = await ana.refused(400, "GET", f"/albums?{query}")
        assert error["errors"][0]["field"] == query.partition("=")[0]
    await ana.refused(400, "GET", f"/albums/{album['id']}/pictures?labels=a%00")


async def test_a_body_that_is_no_json_is_called_that(ana: Any) -> None:
    for content in (b"{bad", b"[" * 100_000, b'{"name": ' + b"9" * 5_000 + b"}"):
        error = await ana.refused(400, "POST", "/albums", content=content, headers=JSON)
        assert error["errors"][0]["field"] == "body" and "JSON" in error["message"]


async def test_a_body_too_large_is_told_how_large_it_may_be(ana: Any) -> None:
    error = await ana.refused(413, "POST", "/albums", {"name": "x" * (5 << 20), "labelMode": "LOCALIZATION"})
    assert error["errors"][0]["field"] == "body" and "at most" in error["errors"][0]["fix"]


async def test_the_first_user(ana: Any, installation: Any) -> None:
    good = {
        "token": await installation.baile.create_bootstrap_token(), "organisation": "New", "username": "new",
        "email": "new@lab.test", "password": "Correct-horse-9", "firstName": "N", "lastName": "N",
    }  # fmt: skip
    for field in good:
        for bad in (b"\\u0000", HALF[1:-1]):
            body = _with(good, field, bad)
            response = await ana.send("POST", "/v1/bootstrap", content=body, headers=JSON)
            assert response.status_code == 400 and response.json()["field"] == field, response.text
    assert (await ana.send("POST", "/v1/bootstrap", json=good)).status_code == 201


def _with(good: dict[str, str], field: str, bad: bytes) -> bytes:
    return json.dumps({**good, field: good[field] + "@@"}).encode().replace(b"@@", bad)
