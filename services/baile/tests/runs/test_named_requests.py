"""A request with an Idempotency-Key and its answer are kept together: an instance that dies leaves both or neither."""

import asyncio
from typing import Any

import pytest

from studio9_baile.usecases import repeating

from .test_training_v1 import CONFIG, made_model

NAMED = {"Idempotency-Key": "once"}
POSTS = ("models", "tokens", "webhooks", "dataset-versions", "train")


@pytest.fixture(params=POSTS)
async def post(request: pytest.FixtureRequest, ana: Any, albums: dict[str, str]) -> tuple[str, Any, str]:
    """Where a POST goes, its body, and where all that such requests made is listed."""
    match request.param:
        case "models":
            return "/v1/models", {"name": "Ships"}, "/v1/models"
        case "tokens":
            return "/v1/tokens", {"name": "t", "scopes": ["read"]}, "/v1/tokens"
        case "webhooks":
            return "/v1/webhooks", {"url": "https://1.1.1.1/hook"}, "/v1/webhooks"
        case "dataset-versions":
            return "/v1/dataset-versions", {"albums": {"train": albums["train"]}}, "/v1/dataset-versions"
    model = await made_model(ana)
    data = await ana.ok("POST", "/v1/dataset-versions", {"albums": {"train": albums["train"]}})
    body = {"dataset_version_id": data["id"], "config": CONFIG}
    return f"/v1/models/{model}/train", body, f"/v1/models/{model}/versions"


async def made(ana: Any, path: str) -> int:
    listed = await ana.ok("GET", path)
    return len(listed["items"] if isinstance(listed, dict) else listed)


async def test_nothing_is_there_until_the_answer_is(
    post: tuple[str, Any, str], ana: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is stopped for good between what it does and the keeping of its answer."""
    path, body, listed = post
    reached = asyncio.Event()

    async def never(*_: Any, **__: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(repeating, "finish", never)
        sent = asyncio.create_task(ana.send("POST", path, json=body, headers=NAMED))
        async with asyncio.timeout(60):
            await reached.wait()
        assert await made(ana, listed) == 0
        sent.cancel()
        await asyncio.wait([sent])
    assert await made(ana, listed) == 0
    first = await ana.send("POST", path, json=body, headers=NAMED)
    assert first.is_success, first.text
    assert await made(ana, listed) == 1
    again = await ana.send("POST", path, json=body, headers=NAMED)
    if path == "/v1/tokens" or path == "/v1/webhooks":
        assert (again.status_code, again.json()["title"]) == (409, "done before")
    else:
        assert again.json() == first.json() and again.headers["Idempotency-Replayed"] == "true"
    assert await made(ana, listed) == 1


async def test_who_was_taken_for_dead_changes_nothing(ana: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that hangs longer than ABANDONED is carried out by the next; when the first wakes up it is undone."""
    reached, go_on = asyncio.Event(), asyncio.Event()
    begin = repeating.begin

    async def slow(*given: Any) -> Any:
        before = await begin(*given)
        if not reached.is_set():
            reached.set()
            await go_on.wait()
        return before

    monkeypatch.setattr(repeating, "begin", slow)
    monkeypatch.setattr(repeating, "ABANDONED", repeating.ABANDONED * 0)
    body = {"name": "t", "scopes": ["read"]}
    first = asyncio.create_task(ana.send("POST", "/v1/tokens", json=body, headers=NAMED))
    async with asyncio.timeout(60):
        await reached.wait()
        second = await ana.send("POST", "/v1/tokens", json=body, headers=NAMED)
        assert second.status_code == 201
        go_on.set()
        late = await first
    assert (late.status_code, late.json()["title"]) == (409, "idempotency key in use")
    assert await made(ana, "/v1/tokens") == 1
