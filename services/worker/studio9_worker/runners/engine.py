"""The Docker Engine, as far as a runner of tasks needs it. Every call blocks: make it in a thread."""

import re
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker import errors

from studio9_worker.runners.port import ImageMissing, Login, RunnerError

PINNED = re.compile(r"(?:[^\s@]+@)?sha256:[0-9a-f]{64}")
"""A registry's digest (`name@sha256:…`), or the id of an image that exists on this machine only (`sha256:…`)."""
TIMEOUT_S = 60.0
OUTPUT_LINES = 50


class EngineAway(RunnerError):
    """The Docker Engine does not answer; start it, or correct docker_url."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image on this machine. `volumes` are the places that it wants to be written to, `size` is bytes."""

    id: str
    volumes: tuple[str, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine sees it. `status`: created, running, paused, restarting, removing, exited or dead."""

    id: str
    status: str
    labels: Mapping[str, str]
    exit_code: int
    out_of_memory: bool
    started: str
    ended: str
    error: str

    @property
    def runs(self) -> bool:
        """Whether its first process lives."""
        return self.status in ("running", "paused", "restarting")


class Engine:
    """One engine at an address (`unix:///var/run/docker.sock`). Everything raises EngineAway when it does not answer
    and RunnerError, in the engine's own words, when it refuses."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client: Any = None
        self._making = threading.Lock()

    def close(self) -> None:
        """Closes the connections; a later call opens new ones."""
        with self._making:
            if self._client is not None:
                self._client.close()
            self._client = None

    def version(self) -> str:
        """The engine's version."""
        with _answers():
            return str(self._api.version()["Version"])

    def local_image(self, reference: str) -> Image:
        """An image that is here, by any reference. Raises ImageMissing."""
        with _answers():
            try:
                found = self._api.inspect_image(reference)
            except errors.ImageNotFound:
                raise ImageMissing(f"The image {reference} is not on this machine.") from None
        volumes = (found.get("Config") or {}).get("Volumes") or ()
        return Image(found["Id"], tuple(volumes), int(found.get("Size") or 0))

    def pull(self, reference: str, login: Login | None = None) -> None:
        """Fetches an image by its digest. Raises ImageMissing."""
        name, _, digest = reference.rpartition("@")
        try:
            self._api.pull(name, tag=digest, auth_config=_auth(login))
        except (errors.APIError, requests.RequestException) as error:
            raise ImageMissing(f"The image {reference} cannot be pulled: {_words(error)}") from None

    def check_login(self, reference: str, login: Login) -> None:
        """Asks the registry for an image's manifest with these credentials. Raises ImageMissing where they do not open
        it."""
        try:
            self._api.inspect_distribution(reference, auth_config=_auth(login))
        except (errors.APIError, requests.RequestException) as error:
            raise ImageMissing(f"The image {reference} cannot be had with these credentials: {_words(error)}") from None

    def remove_image(self, reference: str) -> bool:
        """Removes an image's name, and the image where it was the last one; whether it is gone now. One that a
        container is made of stays."""
        with _answers():
            try:
                self._api.remove_image(reference, force=False)
            except errors.APIError as error:
                if error.status_code not in (404, 409):
                    raise
                return bool(error.status_code == 404)
        return True

    def create(self, name: str, body: Mapping[str, Any]) -> None:
        """Makes a container from a body in the Engine API's terms; one of this name that is there stays as it is."""
        with _answers():
            try:
                self._api.create_container_from_config(dict(body), name)
            except errors.ImageNotFound as error:
                raise ImageMissing(_words(error)) from None
            except errors.APIError as error:
                if error.status_code != 409:
                    raise

    def start(self, name: str) -> None:
        """Starts a container; one that runs already goes on."""
        with _answers():
            self._api.start(name)

    def inspect(self, name: str) -> Mapping[str, Any] | None:
        """All that the engine says of a container, in its own terms."""
        with _answers():
            try:
                found: Mapping[str, Any] = self._api.inspect_container(name)
            except errors.NotFound:
                return None
        return found

    def find(self, name: str) -> Container | None:
        """The container of this name."""
        if (found := self.inspect(name)) is None:
            return None
        state = found["State"]
        return Container(
            id=found["Id"],
            status=state["Status"],
            labels=found["Config"]["Labels"] or {},
            exit_code=state["ExitCode"],
            out_of_memory=state["OOMKilled"],
            started=state["StartedAt"],
            ended=state["FinishedAt"],
            error=state.get("Error", ""),
        )

    def labelled(self, labels: Mapping[str, str]) -> list[Mapping[str, str]]:
        """The labels of every container, ended or not, that carries these."""
        wanted = [f"{key}={value}" for key, value in labels.items()]
        with _answers():
            found: Sequence[Mapping[str, Any]] = self._api.containers(all=True, filters={"label": wanted})
        return [one["Labels"] for one in found]

    def answer(self, name: str, within_s: float) -> tuple[int, bytes]:
        """Waits for a container's end; its exit code and all that it wrote to its standard output."""
        with _answers():
            ended = self._api.wait(name, timeout=within_s)
            content: bytes = self._api.logs(name, stdout=True, stderr=False)
        return int(ended["StatusCode"]), content

    def output(self, name: str) -> str:
        """The last lines that the container's first process wrote."""
        with _answers():
            content: bytes = self._api.logs(name, stdout=True, stderr=True, tail=OUTPUT_LINES)
        return content.decode(errors="replace")

    def sees(self, name: str, image: Image, folder: Path, file: str) -> bool:
        """Whether a file in a folder of the agent's is one that the engine's containers would find there."""
        mount = {"Type": "bind", "Source": str(folder), "Target": "/seen", "ReadOnly": True}
        host = {"NetworkMode": "none", "Mounts": [mount]}
        self.remove(name)
        self.create(name, {"Image": image.id, "Cmd": ["none"], "NetworkDisabled": True, "HostConfig": host})
        try:
            with _answers():
                try:
                    self._api.get_archive(name, f"/seen/{file}")[0].close()
                except errors.NotFound:
                    return False
                return True
        finally:
            self.remove(name)

    def kill(self, name: str) -> None:
        """Kills all that runs in a container; one that has ended or is gone is left alone."""
        with _answers():
            try:
                self._api.kill(name)
            except errors.APIError as error:
                if error.status_code not in (404, 409):
                    raise

    def remove(self, name: str) -> None:
        """Removes a container and its volumes, killing what runs; one that is gone is left alone."""
        with _answers():
            try:
                self._api.remove_container(name, v=True, force=True)
            except errors.APIError as error:
                if error.status_code not in (404, 409):  # 409: it is being removed already
                    raise

    @property
    def _api(self) -> Any:
        with self._making:
            if self._client is None:
                _knock(self.url)
                self._client = docker.APIClient(base_url=self.url, version="auto", timeout=TIMEOUT_S)
            return self._client


def _knock(url: str) -> None:
    """Raises OSError where nobody listens: the SDK would leave its socket to the garbage collector."""
    if url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect("/" + url.removeprefix("unix://").lstrip("/"))


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except errors.APIError as error:
        raise RunnerError(f"The Docker Engine refused: {_words(error)}") from None
    except (errors.DockerException, requests.RequestException, OSError) as error:
        raise EngineAway(f"The Docker Engine does not answer: {error}") from None


def _auth(login: Login | None) -> dict[str, str]:
    """An empty one keeps the SDK from looking for a login of the agent's own user."""
    return {} if login is None else {"username": login.username, "password": login.password}


def _words(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)
