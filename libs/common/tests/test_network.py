"""Requests between services over a real connection: what is sent arrives, and every failure has its type."""

import socket
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from studio9_common.errors import Unavailable
from studio9_common.http.client import ServiceClient
from studio9_common.http.network import Network
from studio9_common.service import HttpServer
from studio9_common.tokens import TokenKeys


@pytest.fixture
async def server() -> Any:
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def echo(request: Request) -> dict[str, Any]:
        return {
            "path": request.scope["raw_path"].decode(),
            "query": dict(request.query_params),
            "type": request.headers.get("content-type"),
            "body": (await request.body()).decode(),
        }

    served = HttpServer("127.0.0.1", 0)
    await served.start(app)
    yield f"http://127.0.0.1:{served.port}"
    await served.stop()


async def test_path_query_and_body_arrive_as_they_were_given(server: str) -> None:
    network = Network(server, timeout_s=30)
    told = (await network.request("GET", "/v1/a%2Fb", headers={}, params={"x": "ä b&c", "fresh": True})).json()
    assert (told["path"], told["query"]) == ("/v1/a%2Fb", {"x": "ä b&c", "fresh": "true"})
    told = (await network.request("POST", "/v1/x", headers={}, json={"n": 1})).json()
    assert (told["type"], told["body"]) == ("application/json", '{"n":1}')
    told = (await network.request("POST", "/v1/x", headers={"Content-Type": "text/plain"}, content=b"as it is")).json()
    assert (told["type"], told["body"]) == ("text/plain", "as it is")
    await network.aclose()


async def test_what_nobody_answers_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        network = Network(address, timeout_s=0.1)
        with pytest.raises(httpx.TimeoutException):
            await network.request("GET", "/", headers={})
        await network.aclose()
    client = ServiceClient(address, audience="probe", service="orion", keys=TokenKeys(TokenKeys.generate()))
    with pytest.raises(Unavailable):
        await client.request("GET", "/", retry_s=0)
    await client.close()
