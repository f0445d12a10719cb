"""The platform of these tests, where a Docker Engine can be had."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from studio9_worker.runners.engine import Engine

from .harness import Platform


@pytest.fixture
async def platform(tmp_path: Path, docker_url: str, docker_image: str) -> AsyncIterator[Platform]:
    """The platform with its worker not started yet."""
    engine = Engine(docker_url)
    made = Platform(tmp_path, engine, docker_image)
    await made.open()
    yield made
    await made.close()
    engine.close()
