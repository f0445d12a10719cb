"""The platform of these tests, where a Docker Engine can be had."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from studio9_worker.runners.engine import Engine

from .harness import Platform


@pytest.fixture(scope="session")
def note(record_testsuite_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Has the summary of `./studio9 test` say something, once."""
    said = set()

    def say(words: str) -> None:
        if words not in said:
            record_testsuite_property("note", words)
        said.add(words)

    return say


@pytest.fixture
async def platform(
    tmp_path: Path, docker_url: str, docker_image: str, note: Callable[[str], None]
) -> AsyncIterator[Platform]:
    """The platform with its worker not started yet."""
    engine = Engine(docker_url)
    made = Platform(tmp_path, engine, docker_image)
    await made.open()
    yield made
    for words in sorted(made.notes):
        note(words)
    await made.close()
    engine.close()
