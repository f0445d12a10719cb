"""The tools that check deployments: taken from the machine, or built from their Go modules and kept."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from studio9_cli.servers.artifacts import go_program, go_wrapped
from studio9_cli.servers.processes import ProcessEnded


def built(name: str, build: Callable[[], Path]) -> Path:
    if shutil.which("go") is None:
        pytest.skip(f"{name} is not installed, and without Go it cannot be built from its module")
    try:
        return build()
    except ProcessEnded as error:
        pytest.skip(f"{name} could not be built: {error}")


@pytest.fixture(scope="session")
def helm() -> Path:
    if found := shutil.which("helm"):
        return Path(found)
    return built("helm", lambda: go_program("helm-3.22.0", "helm.sh/helm/v3/cmd/helm@v3.22.0"))


@pytest.fixture(scope="session")
def compose() -> list[str]:
    """The command of Compose v2."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    name, package = "compose-2.40.3", "github.com/docker/compose/v2/cmd"
    return [str(built("docker compose", lambda: go_wrapped(name, package, "v2.40.3")))]
