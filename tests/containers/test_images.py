"""The image of a service, built from its recipe where no registry can be reached: it runs read-only, as nobody."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from studio9_cli.images.building import Build, Image, build
from studio9_cli.images.recipes import recipe
from studio9_common.tokens import TokenKeys

NAME = "studio9-test/aries:built"
FOUND = Path("/etc/ssl/certs/ca-certificates.crt")
CERTIFICATES = FOUND if FOUND.exists() else None
HEALTHY_S = 60.0
ASK = """
import json, os, urllib.request
answer = urllib.request.urlopen("http://127.0.0.1:8080/health", timeout=5)
try:
    open("/opt/platform/written", "w")
except OSError as error:
    written = error.strerror
print(json.dumps({"status": answer.status, "user": os.getuid(), "written": written}))
"""


@pytest.fixture
def engine(docker_url: str) -> Iterator[Any]:
    client = docker.APIClient(base_url=docker_url, version="auto", timeout=60)
    yield client
    client.close()


async def test_a_service_is_built_and_lives_read_only(docker_url: str, docker_image: str, engine: Any) -> None:
    options = Build(docker_url, docker_image, "host", CERTIFICATES)
    image: Image = await asyncio.to_thread(build, options, recipe("aries"), NAME)
    print("\n".join(image.lines("aries")))
    assert image.user == "10001:10001" and image.seconds
    assert any("uv pip install" in step.name for step in image.steps)
    below = (await asyncio.to_thread(engine.inspect_image, docker_image))["Size"]
    assert below < image.size < below + 300e6
    secret = json.dumps(engine.history(NAME)) + json.dumps(engine.inspect_image(NAME))
    assert "BEGIN CERTIFICATE" not in secret
    host = engine.create_host_config(
        read_only=True, network_mode="none", cap_drop=["ALL"], security_opt=["no-new-privileges"],
        tmpfs={"/var/lib/studio9": "uid=10001,gid=10001,mode=0700", "/tmp": ""},
    )  # fmt: skip
    made = engine.create_container(
        NAME, host_config=host, environment={"STUDIO9_TOKEN_KEYS": TokenKeys.generate()}
    )["Id"]  # fmt: skip
    try:
        await asyncio.to_thread(engine.start, made)
        told = await healthy(engine, made)
        assert told == {"status": 200, "user": 10001, "written": "Read-only file system"}
    finally:
        await asyncio.to_thread(engine.remove_container, made, force=True)
        await asyncio.to_thread(engine.remove_image, NAME)


async def healthy(engine: Any, container: str) -> Any:
    """What it tells of itself from inside, once it answers."""
    until = time.monotonic() + HEALTHY_S
    while True:
        asked = engine.exec_create(container, ["/opt/platform/bin/python", "-c", ASK])["Id"]
        said = await asyncio.to_thread(engine.exec_start, asked)
        if engine.exec_inspect(asked)["ExitCode"] == 0:
            return json.loads(said)
        if time.monotonic() > until:
            raise AssertionError(f"{said.decode()}\n{engine.logs(container, tail=30).decode()}")
        await asyncio.sleep(0.3)
