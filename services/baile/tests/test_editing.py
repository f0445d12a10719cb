"""Two people who edit the same thing at once: nobody's change is lost unseen, and no change is half of two."""

import asyncio
import hashlib
from typing import Any

import httpx
import pytest

TOGETHER = 6


async def album(api: Any, name: str = "Ships") -> str:
    made = await api.ok("POST", "/albums", {"name": name, "labelMode": "LOCALIZATION", "description": "at sea"})
    return str(made["id"])


async def at_once(*requests: Any) -> list[httpx.Response]:
    return list(await asyncio.gather(*requests))


async def test_what_is_read_has_an_etag_and_a_change_gives_another(ana: Any) -> None:
    path = f"/v1/albums/{await album(ana)}"
    first = await ana.send("GET", path)
    assert first.headers["etag"] == '"1"' and (await ana.send("GET", path)).headers["etag"] == '"1"'
    changed = await ana.send("PATCH", path, json={"name": "Boats"}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200 and changed.headers["etag"] == '"2"'
    assert changed.json()["name"] == "Boats" and changed.json()["description"] == "at sea"
    assert (await ana.send("GET", path)).headers["etag"] == '"2"'
    several = {"If-Match": '"7", "2"'}
    assert (await ana.send("PATCH", path, json={"name": "Ferries"}, headers=several)).headers["etag"] == '"3"'
    anything = await ana.send("PATCH", path, json={"name": "Tugs"}, headers={"If-Match": "*"})
    assert anything.headers["etag"] == '"4"'


async def test_who_comes_too_late_is_told_what_has_changed(ana: Any) -> None:
    path = f"/v1/albums/{await album(ana)}"
    await ana.ok("PATCH", path, {"description": "in port"})
    await ana.ok("PATCH", path, {"name": "Boats"})
    refused = await ana.send("PATCH", path, json={"description": "on land"}, headers={"If-Match": '"1"'})
    assert refused.status_code == 412 and refused.headers["content-type"] == "application/problem+json"
    assert refused.json() == {
        "type": "urn:studio9:problem:precondition_failed", "title": "precondition failed", "status": 412,
        "detail": "Somebody else has changed this since you read it: description, name",
        "field": "If-Match", "value": '"1"', "current": '"3"',
        "fix": 'read it again, and send your change with If-Match: "3" if it still fits',
    }  # fmt: skip
    assert (await ana.ok("GET", path))["description"] == "in port"
    gone = await ana.send("DELETE", path, headers={"If-Match": '"2"'})
    assert gone.status_code == 412 and gone.json()["detail"].endswith(": name")
    assert (await ana.send("DELETE", path, headers={"If-Match": '"3"'})).status_code == 204
    assert (await ana.send("PATCH", path, json={"name": "x"}, headers={"If-Match": '"3"'})).status_code == 404


async def test_what_is_no_etag_is_refused_and_a_weak_one_fits_nothing(ana: Any) -> None:
    path = f"/v1/albums/{await album(ana)}"
    for given in ("1", '"1', "W/1", '"1" "2"', "x" * 2_000):
        refused = await ana.send("PATCH", path, json={"name": "x"}, headers={"If-Match": given})
        assert refused.status_code == 400 and refused.json()["field"] == "If-Match", given
    assert (await ana.send("PATCH", path, json={"name": "x"}, headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await ana.ok("GET", path))["name"] == "Ships"


async def test_where_nothing_has_an_etag_none_fits_and_nothing_is_done(ana: Any) -> None:
    token = (await ana.ok("POST", "/v1/tokens", {"name": "t", "scopes": ["read"]}))["id"]
    refused = await ana.send("DELETE", f"/v1/tokens/{token}", headers={"If-Match": '"1"'})
    assert refused.status_code == 412 and "without If-Match" in refused.json()["fix"]
    assert (await ana.send("DELETE", f"/v1/tokens/{token}")).status_code == 204


async def test_whoever_may_not_change_it_learns_nothing_of_its_revision(ana: Any, bo: Any, installation: Any) -> None:
    path = f"/v1/albums/{await album(ana)}"
    user = {
        "username": "cy", "email": "cy@lab.test", "password": "Correct-horse-9", "firstName": "C", "lastName": "Y",
    }  # fmt: skip
    await ana.ok("POST", "/users", user)
    cy = await installation.sign_in("cy")
    for known in ('"1"', '"2"'):
        headers = {"If-Match": known}
        assert (await cy.send("PATCH", path, json={"name": "x"}, headers=headers)).status_code == 403
        assert (await bo.send("PATCH", path, json={"name": "x"}, headers=headers)).status_code == 404


KINDS = ("albums", "projects", "datasets", "models")


async def made(api: Any, kind: str) -> str:
    body: dict[str, Any] = {"name": "first"}
    if kind == "albums":
        return await album(api, "first")
    if kind == "models":
        return str((await api.ok("POST", "/v1/models", body))["id"])
    return str((await api.ok("POST", f"/{kind}", body))["id"])


async def test_of_several_who_have_read_the_same_one_changes_it(ana: Any) -> None:
    """A real race: all requests are under way at once, on one database."""
    for kind in KINDS:
        identifier = await made(ana, kind)
        path = f"/v1/models/{identifier}" if kind == "models" else f"/{kind}/{identifier}"
        method = "PATCH" if kind == "models" else "PUT"
        for _ in range(2):
            tag = (await ana.send("GET", path)).headers["etag"]
            sent = [{"json": {"name": f"{tag} {one}"}, "headers": {"If-Match": tag}} for one in range(TOGETHER)]
            answers = await at_once(*(ana.send(method, path, **one) for one in sent))
            statuses = sorted(answer.status_code for answer in answers)
            assert statuses == [200] + [412] * (TOGETHER - 1), [answer.text for answer in answers]
            (winner,) = (answer for answer in answers if answer.status_code == 200)
            now = await ana.send("GET", path)
            assert now.json()["name"] == winner.json()["name"] and now.headers["etag"] == winner.headers["etag"] != tag
            for loser in answers:
                if loser.status_code == 412 and kind != "models":
                    assert loser.json()["code"] == 412 and "If-Match is" in loser.json()["message"]


async def test_without_if_match_each_writes_what_it_sends_and_nothing_else(ana: Any) -> None:
    """As Salsa does it: the last one wins, field by field, and no answer is of two requests."""
    path = f"/albums/{await album(ana)}"
    for turn in range(3):
        names = [{"name": f"n{turn}{number}"} for number in range(3)]
        texts = [{"description": f"d{turn}{number}"} for number in range(3)]
        answers = await at_once(*(ana.send("PUT", path, json=body) for body in (*names, *texts)))
        assert [answer.status_code for answer in answers] == [200] * 6, [answer.text for answer in answers]
        found = await ana.ok("GET", path)
        assert {"name": found["name"]} in names and {"description": found["description"]} in texts
        both = [{"name": f"{turn} {one}", "description": f"of {one}"} for one in range(TOGETHER)]
        await at_once(*(ana.send("PUT", path, json=body) for body in both))
        found = await ana.ok("GET", path)
        assert found["description"] == f"of {found['name'].split()[1]}", "half of one and half of another"


async def test_labels_and_caption_of_a_picture_do_not_undo_each_other(ana: Any, png: Any) -> None:
    of = await album(ana)
    picture = (await ana.upload(of, "one", png()))["id"]
    path = f"/albums/{of}/pictures/{picture}"
    area = {"top": 1, "left": 1, "width": 9, "height": 9}
    for turn in range(3):
        tag = (await ana.send("GET", path)).headers["etag"]
        bodies = [
            {"tags": [{"label": f"a{turn}", "area": area}]}, {"caption": f"c{turn}"},
            {"tags": [{"label": f"b{turn}", "area": area}]},
        ]  # fmt: skip
        answers = await at_once(*(ana.send("PUT", path, json=body) for body in bodies))
        assert [answer.status_code for answer in answers] == [200] * 3, [answer.text for answer in answers]
        found = await ana.ok("GET", path)
        assert found["caption"] == f"c{turn}" and found["tags"][0]["label"] in (f"a{turn}", f"b{turn}")
        late = await ana.send("PUT", path, json={"caption": "late"}, headers={"If-Match": tag})
        assert late.status_code == 412 and "labels, caption" in late.json()["message"]
        assert (await ana.ok("GET", path))["caption"] == f"c{turn}"


async def test_two_administrators_change_a_user(ana: Any) -> None:
    """What neither has sent stays as the other has made it."""
    user = {"username": "cy", "email": "cy@lab.test", "password": "Correct-horse-9", "firstName": "C", "lastName": "Y"}
    path = f"/users/{(await ana.ok('POST', '/users', user))['id']}"
    for turn in range(3):
        changes = {"firstName": f"Cyd{turn}", "lastName": f"Oz{turn}", "email": f"cy{turn}@lab.test"}
        answers = await at_once(*(ana.send("PUT", path, json={name: value}) for name, value in changes.items()))
        assert [answer.status_code for answer in answers] == [200] * 3, [answer.text for answer in answers]
        found = await ana.ok("GET", path)
        assert {name: found[name] for name in changes} == changes
    old = await ana.send("PUT", path, json={"firstName": "x"}, headers={"If-Match": '"1"'})
    assert old.status_code == 412 and "first_name" in old.json()["message"]


async def test_a_job_that_ends_is_no_less_a_change(ana: Any, installation: Any) -> None:
    """Whatever writes an asset raises its revision, so that a change is never made on top of one that was not seen."""
    identifier = await album(ana)
    core = installation.baile.core
    organisation = core.tokens.read(ana.token).organisation
    async with core.database.write(organisation) as work:
        found = await work.albums.get(identifier, lock=True)
        found.times = {"total": 1}
    refused = await ana.send("PUT", f"/albums/{identifier}", json={"name": "x"}, headers={"If-Match": '"1"'})
    assert refused.status_code == 412 and "times" in refused.json()["message"]


async def test_a_row_that_was_read_without_a_lock_is_not_written_over_a_newer_one(ana: Any, installation: Any) -> None:
    """Two sessions: the second commits between the first one's read and its write. (SQLite has one writer.)"""
    core = installation.baile.core
    if core.database.alone:
        pytest.skip("SQLite lets nobody write between the read and the write of a writing transaction")
    identifier = await album(ana)
    organisation = core.tokens.read(ana.token).organisation
    with pytest.raises(Exception, match="did the same") as caught:
        async with core.database.write(organisation) as work:
            found = await work.albums.get(identifier)
            await ana.ok("PUT", f"/albums/{identifier}", {"name": "Boats"})
            found.description = "on land"
    assert type(caught.value).__name__ == "Collision"
    now = await ana.ok("GET", f"/albums/{identifier}")
    assert now["name"] == "Boats" and now["description"] == "at sea"


async def test_a_token_that_was_not_used_lately_is_no_change_of_what_it_changes(ana: Any) -> None:
    """That it was used is written down before anything else."""
    path = f"/v1/albums/{await album(ana)}"
    for known, status in (('"1"', 200), ('"1"', 412), ('"2"', 200)):
        made = await ana.ok("POST", "/v1/tokens", {"name": f"{known} {status}", "scopes": ["read", "edit"]})
        notebook = type(ana)(ana.http, made["token"])
        answer = await notebook.send("PATCH", path, json={"name": f"{known} {status}"}, headers={"If-Match": known})
        assert answer.status_code == status, answer.text
        assert all(one["used_at"] for one in await ana.ok("GET", "/v1/tokens"))
    assert (await ana.ok("GET", path))["name"] == '"2" 200'


async def test_bytes_that_were_about_to_be_removed_come_back_to_what_has_not_changed(
    ana: Any, installation: Any, png: Any
) -> None:
    """That they are no orphan any more is written before the picture."""
    path = f"/albums/{await album(ana)}"
    core, content = installation.baile.core, png()
    organisation = core.tokens.read(ana.token).organisation
    key = f"{organisation}/pictures/{hashlib.sha256(content).hexdigest()}"
    for known, status, count in (('"9"', 412, 0), ('"1"', 200, 1)):
        async with core.database.write(organisation) as work:
            work.orphans.make(key=key)
        sent = {"files": {"file": ("a.png", content, "image/png")}, "headers": {"If-Match": known}}
        answer = await ana.send("POST", f"{path}/uploadPicture", **sent)
        assert answer.status_code == status, answer.text
        assert (await ana.ok("GET", f"{path}/pictures"))["count"] == count
        async with core.database.read(organisation) as work:
            assert await work.orphans.all() == []
