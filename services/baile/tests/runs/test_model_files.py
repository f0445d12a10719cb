"""Model files: taken out, brought in again, and refused where they are not what they say."""

import json
from typing import Any

import pytest


async def exported(api: Any, model: str) -> bytes:
    url = await api.ok("GET", f"/cv-models/{model}/export")
    assert url.startswith("http://baile/v2.0/cv-models/") and api.token in url
    response = await api.http.get(url)
    assert response.headers["content-disposition"] == f'attachment; filename="cv-model-{model}.bin"'
    assert int(response.headers["content-length"]) == len(response.content)
    return bytes(response.content)


async def bring_in(api: Any, content: bytes, **fields: str) -> Any:
    return await api.send("POST", "/cv-models/import", files={"file": ("model.bin", content)}, data=fields)


async def test_a_model_goes_from_one_organisation_to_another(
    ana: Any, bo: Any, model: str, workers: Any, png: Any, until: Any
) -> None:
    content = await exported(ana, model)
    head, _, weights = content.partition(b"\0")
    assert json.loads(head)["name"] == "Ships" and weights.startswith(b"weights of ")
    made = await bring_in(bo, content, name="Theirs")
    assert made.status_code == 200, made.text
    imported, original = made.json(), await ana.ok("GET", f"/cv-models/{model}")
    assert (imported["name"], imported["status"], imported["inLibrary"]) == ("Theirs", "ACTIVE", True)
    assert (imported["modelType"], imported["classes"]) == (original["modelType"], original["classes"])
    assert "experimentId" not in imported
    process = await bo.ok("GET", f"/cv-models/{imported['id']}/process")
    assert (process["jobType"], process["target"], process["status"]) == ("CV_MODEL_IMPORT", "CV_MODEL", "COMPLETED")
    assert (await exported(bo, imported["id"])).partition(b"\0")[2] == weights
    album = (await bo.ok("POST", "/albums", {"name": "a", "labelMode": "LOCALIZATION"}))["id"]
    await bo.upload(album, "p", png())
    assert await bo.ok("POST", "/cv-predictions", {"modelId": imported["id"], "name": "x", "input": album})
    url = await bo.ok("GET", f"/cv-models/{imported['id']}/state-file-url")
    assert (await bo.http.get(url)).content == weights


async def test_the_address_of_a_file_behind_a_proxy(ana: Any, model: str, installation: Any) -> None:
    """Under the path that a trusted proxy says, and under the address that the settings say."""
    await installation.stop()
    await installation.start(trusted_proxies=("127.0.0.1",))
    ana.http = installation.http()
    said = {"X-Forwarded-Prefix": "/lab"}
    for path in ("/baile/v2.0", "/lab/v2.0"):
        answer = await ana.http.get(
            f"{path}/cv-models/{model}/export", headers={**said, "Authorization": f"Bearer {ana.token}"}
        )
        url = answer.json()
        assert url.startswith(f"http://baile/lab/{path.removeprefix('/lab').lstrip('/')}/cv-models/{model}/")
        assert (await ana.http.get(url, headers=said)).content.partition(b"\0")[2].startswith(b"weights of ")
    await installation.stop()
    await installation.start(root_path="/lab", public_url="https://labs.test/lab/")
    ana.http = installation.http()
    url = await ana.ok("GET", f"/cv-models/{model}/export")
    assert url.startswith(f"https://labs.test/lab/v2.0/cv-models/{model}/exportFile?")


async def test_what_cannot_be_brought_in(ana: Any, model: str) -> None:
    content = await exported(ana, model)
    head, _, weights = content.partition(b"\0")
    known = json.loads(head)

    def with_head(**change: Any) -> bytes:
        return json.dumps({**known, **change}).encode() + b"\0" + weights

    for bad, status in (
        (b"no model", 400), (content[:-1], 400), (content[:-1] + b"!", 400), (b"{}\0x", 400), (b"\0", 400),
        (with_head(architecture="NOTHING"), 400), (with_head(tl_type="CLASSIFICATION"), 400),
        (with_head(framework="other"), 400), (with_head(labels=["a", "a"]), 400), (with_head(version=9), 400),
        (with_head(name="a\x00b"), 400),
    ):  # fmt: skip
        answer = await bring_in(ana, bad, name="New")
        assert answer.status_code == status, f"{bad[:80]!r}: {answer.text}"
        assert answer.json()["errors"][0]["field"].startswith("file")
    assert (await bring_in(ana, content, name="Ships")).status_code == 409
    assert (await bring_in(ana, content)).status_code == 400
    assert (await bring_in(ana, content, name="New", inLibrary="perhaps")).status_code == 400
    assert (await ana.ok("GET", "/cv-models"))["count"] == 1


@pytest.mark.parametrize("route", ["export", "exportFile", "state-file-url"])
async def test_a_model_without_weights_has_no_file(
    ana: Any, workers: Any, albums: dict[str, str], experiment: Any, route: str
) -> None:
    await ana.ok("POST", "/experiments", experiment(albums))
    training = (await workers.take()).data.spec.provenance.model_id
    await ana.refused(400, "GET", f"/cv-models/{training}/{route}")
    await ana.refused(404, "GET", f"/cv-models/nothing/{route}")
