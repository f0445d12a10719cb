"""Albums: their exact shape, lists, names, label mode, copies, deletion."""

import re
from typing import Any

ALBUM = {"id", "ownerId", "name", "created", "updated", "status", "inLibrary", "type", "locked", "labelMode"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def album(api: Any, name: str = "Ships", mode: str = "LOCALIZATION", **body: Any) -> Any:
    return await api.ok("POST", "/albums", {"name": name, "labelMode": mode, **body})


async def test_an_album_has_exactly_the_contracts_fields(ana: Any) -> None:
    made = await album(ana, description=None)
    assert set(made) == ALBUM
    assert (made["status"], made["type"], made["locked"], made["inLibrary"]) == ("ACTIVE", "SOURCE", False, True)
    assert TIME.fullmatch(made["created"]) and TIME.fullmatch(made["updated"])
    assert await ana.ok("GET", f"/albums/{made['id']}") == made
    described = await album(ana, "Harbour", description="photos")
    assert set(described) == ALBUM | {"description"}


async def test_lists_are_paged_sorted_and_searched_as_plain_text(ana: Any) -> None:
    for name in ("a.1", "b%1", "C_1", "c1"):
        await album(ana, name)
    listed = await ana.ok("GET", "/albums?search=&order=-created&page=1&page_size=2&scope=personal")
    assert [one["name"] for one in listed["data"]] == ["c1", "C_1"] and listed["count"] == 4
    assert [one["name"] for one in (await ana.ok("GET", "/albums?order=name&page=2&page_size=3"))["data"]] == ["c1"]
    for search, names in (("%", ["b%1"]), ("_", ["C_1"]), (".", ["a.1"]), (".*", []), ("C", ["C_1", "c1"])):
        found = await ana.ok("GET", "/albums", params={"search": search, "order": "created"})
        assert [one["name"] for one in found["data"]] == names and found["count"] == len(names)
    assert await ana.ok("GET", "/albums?scope=shared") == {"data": [], "count": 0}
    assert (await ana.ok("GET", "/albums?page_size=1000&scope=all"))["count"] == 4


async def test_bad_list_parameters(ana: Any) -> None:
    error = await ana.refused(400, "GET", "/albums?order=size")
    assert "Sorting field not known" in error["message"] and error["errors"][0]["field"] == "order"
    for query in ("page=0", "page=x", "page_size=0", "page_size=1001", "scope=world"):
        error = await ana.refused(400, "GET", f"/albums?{query}")
        assert query.partition("=")[0] in error["message"]
    await ana.refused(404, "GET", "/albums?projectId=nothing")


async def test_names(ana: Any) -> None:
    first = await album(ana, "Ships")
    second = await album(ana, "Boats")
    taken = await ana.refused(400, "POST", "/albums", {"name": " Ships ", "labelMode": "LOCALIZATION"})
    assert taken["message"].startswith("Album with this name already exists") and "another name" in taken["message"]
    await ana.refused(400, "PUT", f"/albums/{second['id']}", {"name": "Ships"})
    assert (await ana.ok("PUT", f"/albums/{first['id']}", {"name": "Ships", "description": "d"}))["description"] == "d"
    for body, field in (
        ({"labelMode": "LOCALIZATION"}, "name"),
        ({"name": "  ", "labelMode": "LOCALIZATION"}, "name"),
        ({"name": "x" * 256, "labelMode": "LOCALIZATION"}, "name"),
        ({"name": "x\x00", "labelMode": "LOCALIZATION"}, "name"),
        ({"name": "x"}, "labelMode"),
        ({"name": "x", "labelMode": "POLYGONS"}, "labelMode"),
        ({"name": 5, "labelMode": "LOCALIZATION"}, "name"),
    ):
        error = await ana.refused(400, "POST", "/albums", body)
        assert error["errors"][0]["field"] == field and field in error["message"]
    malformed = await ana.send("POST", "/albums", content=b"{", headers={"Content-Type": "application/json"})
    assert malformed.status_code == 400 and "malformed" in malformed.json()["message"]
    assert (await ana.ok("GET", "/albums"))["count"] == 2


async def test_the_same_name_in_two_organisations(ana: Any, bo: Any) -> None:
    assert (await album(ana))["id"] != (await album(bo))["id"]


async def test_label_mode_changes_only_while_nothing_is_labelled(ana: Any, png: Any) -> None:
    made = await album(ana, mode="CLASSIFICATION")
    changed = await ana.ok("PUT", f"/albums/{made['id']}", {"labelMode": "LOCALIZATION"})
    assert changed["labelMode"] == "LOCALIZATION" and changed["updated"] >= made["updated"]
    picture = await ana.upload(made["id"], "p", png())
    tag = {"label": "ship", "area": {"top": 0, "left": 0, "height": 5, "width": 5}}
    await ana.ok("PUT", f"/albums/{made['id']}/pictures/{picture['id']}", {"tags": [tag]})
    error = await ana.refused(400, "PUT", f"/albums/{made['id']}", {"labelMode": "CLASSIFICATION"})
    assert error["message"].startswith("You can not change label mode: it has labelled pictures")


async def test_a_copy_shares_bytes_and_has_labels_of_its_own(ana: Any, png: Any) -> None:
    made = await album(ana)
    first = await ana.upload(made["id"], "one", png())
    await ana.upload(made["id"], "two", png(colour=(9, 9, 9)))
    tag = {"label": "ship", "area": {"top": 1, "left": 2, "height": 5, "width": 6}}
    await ana.ok("PUT", f"/albums/{made['id']}/pictures/{first['id']}", {"tags": [tag]})
    body = {"name": "clone", "copyOnlyLabelledPictures": True}
    clone = await ana.ok("POST", f"/albums/{made['id']}/copy", body)
    assert set(clone) == ALBUM
    pictures = (await ana.ok("GET", f"/albums/{clone['id']}/pictures"))["data"]
    assert [one["tags"] for one in pictures] == [[tag]] and pictures[0]["id"] != first["id"]
    assert pictures[0]["filepath"].partition("?")[0] == first["filepath"].partition("?")[0]
    await ana.ok("DELETE", f"/albums/{made['id']}")
    assert (await ana.ok("GET", f"/albums/{clone['id']}/tags")) == [{"label": "ship", "count": 1}]
    await ana.refused(400, "POST", f"/albums/{clone['id']}/copy", {"name": "clone"})
    await ana.refused(400, "POST", f"/albums/{clone['id']}/copy", {})


async def test_merging(ana: Any, bo: Any, png: Any, until: Any) -> None:
    one, two = await album(ana, "one"), await album(ana, "two")
    other, foreign = await album(ana, "other", "CLASSIFICATION"), await album(bo, "foreign")

    def body(*sources: str) -> dict[str, Any]:
        return {"name": "both", "labelMode": "LOCALIZATION", "copyPicturesFrom": list(sources)}

    for sources, words in (
        ([], "At least one album to merge required"),
        ([one["id"], foreign["id"]], "Some input album(s) not found"),
        ([one["id"], other["id"]], "Label Mode of merging albums does not match"),
        ([one["id"], two["id"]], "Selected albums have no pictures"),
    ):
        error = await ana.refused(400, "POST", "/albums", body(*sources))
        assert error["message"].startswith(words)
    await ana.upload(one["id"], "p", png())
    await ana.upload(two["id"], "q", png())
    merged = await ana.ok("POST", "/albums", body(one["id"], two["id"]))
    assert merged["status"] == "UPLOADING"

    async def active() -> bool:
        return bool((await ana.ok("GET", f"/albums/{merged['id']}"))["status"] == "ACTIVE")

    await until(active)
    assert (await ana.ok("GET", f"/albums/{merged['id']}/pictures"))["count"] == 2
    process = await ana.ok("GET", f"/albums/{merged['id']}/process")
    assert (process["jobType"], process["target"], process["targetId"]) == ("MERGE_ALBUM", "ALBUM", merged["id"])
    assert (process["status"], process["progress"]) == ("COMPLETED", 1.0)
    assert process["started"] <= process["completed"]


async def test_a_deleted_album_is_gone_with_its_pictures(ana: Any, png: Any) -> None:
    made = await album(ana)
    picture = await ana.upload(made["id"], "p", png())
    assert await ana.ok("DELETE", f"/albums/{made['id']}") == {"id": made["id"]}
    assert (await ana.refused(404, "GET", f"/albums/{made['id']}"))["message"] == "Album not found"
    await ana.refused(404, "GET", f"/albums/{made['id']}/pictures/{picture['id']}")
    await ana.refused(404, "DELETE", f"/albums/{made['id']}")
    assert (await ana.ok("GET", "/me/stats?scope=all"))["albumsCount"] == 0


async def test_a_colleague_may_not_read_or_write(ana: Any, installation: Any, png: Any) -> None:
    made = await album(ana)
    picture = await ana.upload(made["id"], "p", png())
    await ana.ok("POST", "/users", {"username": "cy", "email": "cy@lab.test", "password": "Correct-horse-9",
                                    "firstName": "Cy", "lastName": "Oz"})  # fmt: skip
    cy = await installation.sign_in("cy")
    for method, path in (
        ("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/pictures"), ("GET", "/tags"), ("GET", "/export"),
        ("GET", f"/pictures/{picture['id']}"), ("DELETE", f"/pictures/{picture['id']}"),
    ):  # fmt: skip
        body = {"name": "mine"} if method == "PUT" else None
        assert (await cy.refused(403, method, f"/albums/{made['id']}{path}", body))["message"] == "Access denied"
    assert (await cy.ok("GET", "/albums?scope=all"))["count"] == 0
