"""A caller that hangs up in the middle of its request is no error of the service."""

from typing import Any

import pytest
from fastapi import Request

from studio9_common.http.app import create_app


async def test_a_caller_that_hangs_up_while_it_sends_is_no_unexpected_error(capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app("trial")

    @app.post("/bodies")
    async def body(request: Request) -> int:
        return len(await request.body())

    parts: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"half of", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/bodies", "raw_path": b"/bodies", "query_string": b"", "headers": [],
        "http_version": "1.1", "scheme": "http", "server": ("trial", 80), "client": ("127.0.0.1", 1), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert "unexpected_error" not in capsys.readouterr().out
