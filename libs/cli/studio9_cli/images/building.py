"""Builds one image with BuildKit, and asks the engine what came of it. Everything blocks."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from studio9_cli import project
from studio9_cli.images.recipes import Recipe
from studio9_cli.images.steps import Step, steps

CLIENTS = ("/usr/bin/docker", "docker")
"""Newer clients build with a plugin that is not everywhere; Debian's own has BuildKit in it."""
LAST_LINES = 15


class BuildFailed(Exception):
    """The image could not be built; the last lines of the build say why."""


@dataclass(frozen=True, slots=True)
class Build:
    """How images are built. `engine`, `base` and `network` empty, `ca` None: what the client and the recipe have."""

    engine: str = ""
    base: str = ""
    network: str = ""
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """An image. `size` is bytes, `seconds` what the build took in all (None: it was there), `user` whom it runs as."""

    id: str
    size: int
    user: str
    base: str
    seconds: float | None
    steps: Sequence[Step] = ()

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def lines(self, name: str) -> list[str]:
        """For people."""
        took = "was there" if self.seconds is None else f"{self.seconds:.1f} s"
        base = f", on {self.base}" if self.base else ""
        head = f"{name}  {self.size / 1e6:,.0f} MB  {took}  user {self.user or 'root'}{base}"
        return [head, *(f"  {'cached' if one.cached else f'{one.seconds:.1f} s':>8}  {one.name}" for one in self.steps)]


def build(options: Build, recipe: Recipe, name: str) -> Image:
    """Builds an image and names it. Raises BuildFailed."""
    command = [*_client(options), "build", "--progress=plain", "--file", str(recipe.file), "--tag", name]
    arguments = {**recipe.arguments, **({"BASE": _named(options)} if options.base else {})}
    for key, value in arguments.items():
        command += ["--build-arg", f"{key}={value}"]
    if options.network:
        command += ["--network", options.network]
    if options.ca is not None:
        command += ["--secret", f"id=ca,src={options.ca}"]
    began = time.monotonic()
    done = _told([*command, str(project.root())])
    seconds = round(time.monotonic() - began, 1)
    lines = (done.stdout + done.stderr).splitlines()
    if done.returncode != 0:
        raise BuildFailed("\n".join(["it could not be built:", *lines[-LAST_LINES:]]))
    found = known(options, name, seconds, steps(lines))
    if found is None:
        raise BuildFailed("the engine does not have what it has built")
    return found


def known(options: Build, name: str, seconds: float | None = None, steps: Sequence[Step] = ()) -> Image | None:
    """What the engine says of an image; None where it has none of this name. Raises BuildFailed without an engine."""
    done = _told([*_client(options), "image", "inspect", name])
    if done.returncode != 0:
        if "no such image" in done.stderr.lower():
            return None
        raise BuildFailed(done.stderr.strip() or "the Docker Engine does not answer")
    (image,) = json.loads(done.stdout)
    user = str((image.get("Config") or {}).get("User") or "")
    return Image(str(image["Id"]), int(image["Size"]), user, options.base, seconds, tuple(steps))


def _named(options: Build) -> str:
    """The base by a name: BuildKit takes an image's id for the name of one in a registry."""
    if not options.base.startswith("sha256:"):
        return options.base
    name = f"studio9-base:{options.base.removeprefix('sha256:')[:12]}"
    done = _told([*_client(options), "tag", options.base, name])
    if done.returncode != 0:
        raise BuildFailed(done.stderr.strip() or f"the engine has no image {options.base}")
    return name


def _client(options: Build) -> list[str]:
    found = next((path for path in map(shutil.which, CLIENTS) if path is not None), None)
    if found is None:
        raise BuildFailed("there is no docker command here: install docker.io")
    return [found, *(["--host", options.engine] if options.engine else [])]


def _told(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
    )
