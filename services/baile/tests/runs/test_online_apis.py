"""Online APIs: a picture is answered through a job of its own; what goes wrong has a status that says so."""

import asyncio
import base64
from typing import Any

import pytest

from studio9_common.contracts.messages import JobCancel, JobFailed
from studio9_common.contracts.reasons import reason


@pytest.fixture
async def api(ana: Any, model: str) -> Any:
    """An online API of the trained model."""
    body = {"name": "Ask", "description": None, "target": {"id": model, "type": "CV_MODEL"}}
    return await ana.ok("POST", "/online-apis", body)


async def test_shapes_and_switching(ana: Any, api: Any, model: str) -> None:
    assert set(api) == {"id", "ownerId", "name", "status", "created", "updated", "enabled", "target"}
    assert (api["status"], api["enabled"], api["target"]) == ("ACTIVE", True, {"id": model, "type": "CV_MODEL"})
    assert await ana.ok("GET", "/online-apis?page=1&page_size=20&order=-created") == {"data": [api], "count": 1}
    off = await ana.ok("PUT", f"/online-apis/{api['id']}", {"enabled": False, "name": "Off"})
    assert (off["status"], off["name"]) == ("INACTIVE", "Off") and await ana.ok(
        "GET", f"/online-apis/{api['id']}"
    ) == off
    await ana.refused(400, "DELETE", f"/cv-models/{model}")
    assert await ana.ok("DELETE", f"/online-apis/{api['id']}") == {"id": api["id"]}
    await ana.refused(404, "POST", f"/api-call/{api['id']}/predict", files={"file": ("p.png", b"x")})


async def test_a_picture_is_answered(ana: Any, bo: Any, api: Any, workers: Any, png: Any) -> None:
    path = f"/api-call/{api['id']}/predict"
    for options in (
        {"files": {"file": ("p.png", png(), "image/png")}},
        {"json": {"picture": base64.b64encode(png()).decode()}},
    ):
        calling = asyncio.create_task(ana.ok("POST", path, **options))
        request = await workers.take()
        assert (request.data.spec.kind, [one.name for one in request.data.spec.inputs]) == (
            "predict",
            ["model", "predict"],
        )
        await workers.complete(request)
        (found,) = (await calling)["predictions"]
        assert found == {"label": "ship", "confidence": 0.3, "left": 1, "top": 1, "width": 3, "height": 3}
    assert (await ana.ok("GET", "/processes"))["count"] == 1, "calls are not listed among the jobs"
    await bo.refused(404, "POST", path, files={"file": ("p.png", png(), "image/png")})


async def test_what_goes_wrong_has_its_own_status(
    ana: Any, api: Any, workers: Any, png: Any, installation: Any
) -> None:
    path, picture = f"/api-call/{api['id']}/predict", {"files": {"file": ("p.png", png(), "image/png")}}
    calling = asyncio.create_task(ana.refused(502, "POST", path, **picture))
    await workers.end(await workers.take(), JobFailed, reason=reason("timeout"))
    assert "timeout" in (await calling)["message"]
    await ana.refused(409, "POST", path, files={"file": ("p.txt", b"no picture", "image/png")})
    await ana.refused(400, "POST", path, {"picture": "no base64!"})
    await ana.refused(400, "POST", path, {"picture": ""})
    await ana.ok("PUT", f"/online-apis/{api['id']}", {"enabled": False})
    await ana.refused(409, "POST", path, **picture)
    await ana.ok("PUT", f"/online-apis/{api['id']}", {"enabled": True})
    await installation.stop()
    await installation.start(call_limit_s=0.3)
    again = installation.signed_in("ana")
    await again.refused(504, "POST", path, **picture)
    asked = await workers.take()
    while not isinstance((told := await workers.take()).data, JobCancel):
        assert told.data.job == asked.data.job, "what is not accepted is asked for again"
    assert told.data.job == asked.data.job
