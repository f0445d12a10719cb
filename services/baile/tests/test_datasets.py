"""Binary datasets: files in, listed, out again as they were."""

import io
import tarfile
from typing import Any

import pytest

DATASET = {"id", "ownerId", "name", "created", "updated", "status"}


@pytest.fixture
async def dataset(ana: Any) -> str:
    """A dataset with two files, one in a folder."""
    made = await ana.ok("POST", "/datasets", {"name": "Notes"})
    files = [("file", ("b.txt", b"two", "text/plain")), ("file", ("a/one.bin", b"one" * 400, "application/x"))]
    assert await ana.ok("POST", f"/datasets/{made['id']}/files", files=files) == {"id": made["id"]}
    return str(made["id"])


async def test_shapes_and_names(ana: Any, bo: Any) -> None:
    made = await ana.ok("POST", "/datasets", {"name": "Notes", "description": "d"})
    assert set(made) == DATASET | {"description"} and made["status"] == "IDLE"
    assert await ana.ok("GET", f"/datasets/{made['id']}") == made
    listed = await ana.ok("GET", "/datasets?search=&order=-created&page=1&page_size=20&scope=personal")
    assert listed == {"data": [made], "count": 1}
    assert (await ana.ok("PUT", f"/datasets/{made['id']}", {"name": "Other"}))["name"] == "Other"
    await ana.refused(400, "POST", "/datasets", {"name": " "})
    await ana.refused(400, "POST", "/datasets", {})
    await ana.refused(400, "POST", "/datasets", {"name": "Other"})
    assert (await ana.refused(404, "GET", f"/datasets/{made['id']}/process"))["message"] == "Process was not found"
    assert (await ana.ok("GET", "/me/stats"))["binaryDatasetsCount"] == 1
    project = await ana.ok("POST", "/projects", {"name": "p"})
    await ana.ok("PUT", f"/projects/{project['id']}/datasets/{made['id']}", {})
    assert (await ana.ok("GET", f"/datasets?projectId={project['id']}"))["count"] == 1
    assert await ana.ok("DELETE", f"/datasets/{made['id']}") == {"id": made["id"]}
    await ana.refused(404, "GET", f"/datasets/{made['id']}")


async def test_files_are_listed_fetched_replaced_and_deleted(ana: Any, dataset: str) -> None:
    listed = await ana.ok("GET", f"/datasets/{dataset}/ls?page=1&page_size=20&order=-modified")
    assert listed["count"] == 2
    assert all(set(one) == {"filename", "filepath", "filesize", "modified"} for one in listed["data"])
    by_name = await ana.ok("GET", f"/datasets/{dataset}/ls?order=filename&search=ONE")
    assert [(one["filename"], one["filesize"]) for one in by_name["data"]] == [("a/one.bin", 1200)]
    fetched = await ana.http.get(by_name["data"][0]["filepath"])
    assert fetched.content == b"one" * 400
    await ana.ok("POST", f"/datasets/{dataset}/files", files={"file": ("b.txt", b"three", "text/plain")})
    sizes = {one["filename"]: one["filesize"] for one in (await ana.ok("GET", f"/datasets/{dataset}/ls"))["data"]}
    assert sizes == {"a/one.bin": 1200, "b.txt": 5}
    assert await ana.ok("DELETE", f"/datasets/{dataset}/files/a/one.bin") == {"id": dataset}
    await ana.refused(404, "DELETE", f"/datasets/{dataset}/files/a/one.bin")
    await ana.refused(400, "GET", f"/datasets/{dataset}/ls?order=colour")


async def test_an_archive_of_all_or_some(ana: Any, bo: Any, dataset: str) -> None:
    path = f"/v2.0/datasets/{dataset}/download"
    everything = await ana.http.get(f"{path}?access_token={ana.token}")
    assert everything.headers["content-disposition"] == f'attachment; filename="dataset-{dataset}.tar"'
    with tarfile.open(fileobj=io.BytesIO(everything.content)) as archive:
        content = {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]
    assert content == {"a/one.bin": b"one" * 400, "b.txt": b"two"}
    for options in ({"data": {"files": '["b.txt"]'}}, {"json": {"files": ["b.txt"]}}):
        some = await ana.http.post(f"{path}?access_token={ana.token}", **options)
        with tarfile.open(fileobj=io.BytesIO(some.content)) as archive:
            assert archive.getnames() == ["b.txt"]
    await ana.refused(404, "POST", path, {"files": ["nothing"]})
    await ana.refused(400, "POST", path, {"files": "b.txt"})
    await bo.refused(404, "GET", path)


@pytest.mark.parametrize("name", ["../up", "/root", "a//b", "a/./b", "a\\b", "x" * 901])
async def test_names_are_never_paths_out_of_the_set(ana: Any, dataset: str, name: str) -> None:
    await ana.refused(400, "POST", f"/datasets/{dataset}/files", files={"file": (name, b"x", "text/plain")})
    assert (await ana.ok("GET", f"/datasets/{dataset}/ls"))["count"] == 2


async def test_uploads_without_files(ana: Any, dataset: str) -> None:
    await ana.refused(400, "POST", f"/datasets/{dataset}/files", {"file": "x"})
    await ana.refused(400, "POST", f"/datasets/{dataset}/files", data={"file": "x"}, files={"other": ("x", b"x")})
