"""Projects, folders, and what is in them."""

from typing import Any


async def test_projects_and_their_shapes(ana: Any) -> None:
    made = await ana.ok("POST", "/projects", {"name": "Harbour"})
    assert set(made) == {"id", "name", "created", "updated", "ownerId", "modelsCount", "flowsCount", "tablesCount"}
    folder = await ana.ok("POST", f"/projects/{made['id']}/folders", {"path": "a"})
    await ana.ok("POST", f"/projects/{made['id']}/folders", {"path": "a/b"})
    assert set(folder) == {"id", "path"}
    assert await ana.ok("GET", f"/projects/{made['id']}/folders/{folder['id']}") == folder
    listed = await ana.ok("GET", "/projects")
    assert listed["count"] == 1 and set(listed["data"][0]) == {
        "id", "name", "created", "updated", "ownerId", "folders",
    }  # fmt: skip
    assert [one["path"] for one in listed["data"][0]["folders"]] == ["a", "a/b"]
    assert (await ana.ok("PUT", f"/projects/{made['id']}", {"name": "Quay"}))["name"] == "Quay"
    assert await ana.ok("DELETE", f"/projects/{made['id']}") == {"id": made["id"]}
    assert await ana.ok("GET", "/projects") == {"data": [], "count": 0}


async def test_bad_projects(ana: Any, bo: Any) -> None:
    made = await ana.ok("POST", "/projects", {"name": "Harbour"})
    await ana.refused(400, "POST", "/projects", {"name": "Harbour"})
    await ana.refused(400, "POST", "/projects", {})
    for path in ("/a", "a//b", "", "a/", "missing/b"):
        error = await ana.refused(400, "POST", f"/projects/{made['id']}/folders", {"path": path})
        assert error["message"].startswith("Path is invalid")
    await ana.ok("POST", f"/projects/{made['id']}/folders", {"path": "a"})
    await ana.refused(400, "POST", f"/projects/{made['id']}/folders", {"path": "a"})
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/folders")):
        body = {"name": "x", "path": "y"} if method in ("PUT", "POST") else None
        await bo.refused(404, method, f"/projects/{made['id']}{path}", body)


async def test_assets_are_linked_listed_and_unlinked(ana: Any, bo: Any) -> None:
    project = (await ana.ok("POST", "/projects", {"name": "Harbour"}))["id"]
    folder = (await ana.ok("POST", f"/projects/{project}/folders", {"path": "a"}))["id"]
    albums = [
        (await ana.ok("POST", "/albums", {"name": name, "labelMode": "LOCALIZATION"}))["id"] for name in ("x", "y", "z")
    ]
    assert await ana.ok("PUT", f"/projects/{project}/albums/{albums[0]}", {"folderId": folder}) == {"id": project}
    await ana.ok("PUT", f"/projects/{project}/albums/{albums[1]}", {})
    again = await ana.refused(400, "PUT", f"/projects/{project}/albums/{albums[0]}", {})
    assert again["message"].startswith("Asset already exists in project")
    await ana.refused(404, "PUT", f"/projects/{project}/s9-projects/{albums[2]}", {})
    await ana.refused(404, "PUT", f"/projects/{project}/cv-models/{albums[2]}", {})
    foreign = (await bo.ok("POST", "/albums", {"name": "x", "labelMode": "LOCALIZATION"}))["id"]
    await ana.refused(404, "PUT", f"/projects/{project}/albums/{foreign}", {})

    async def names(query: str) -> list[str]:
        return [one["name"] for one in (await ana.ok("GET", f"/albums?order=name&{query}"))["data"]]

    assert await names(f"projectId={project}") == ["y"]
    assert await names(f"projectId={project}&folderId={folder}") == ["x"]
    assert await names("") == ["x", "y", "z"]
    await ana.ok("DELETE", f"/projects/{project}/folders/{folder}")
    assert await names("") == ["x", "y", "z"]
    await ana.ok("DELETE", f"/projects/{project}/albums/{albums[1]}")
    await ana.refused(404, "DELETE", f"/projects/{project}/albums/{albums[1]}")
    assert await names(f"projectId={project}") == []
