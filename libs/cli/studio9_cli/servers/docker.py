"""The Docker Engine: one that runs here already, else Debian's, started with its own data, socket and no network.

Containers of the tests have no network at all, so no bridge is made and no firewall rule is touched.
"""

import contextlib
import os
import shutil
import socket
from pathlib import Path

import docker
from docker.errors import DockerException

from studio9_cli.servers import docker_base, packages
from studio9_cli.servers.processes import ProcessEnded
from studio9_cli.servers.server import Missing, Offer, Place

SOCKET = Path("/var/run/docker.sock")
READY_S = 60.0
IMPORT_S = 300


class Docker:
    """An engine with a small Debian image in it."""

    name = "docker"
    variables: tuple[str, ...] = ("STUDIO9_TEST_DOCKER_URL", "STUDIO9_TEST_DOCKER_IMAGE")
    needs: tuple[str, ...] = ()

    def find(self) -> Offer | Missing:
        """An engine that answers, the installed package, or the package where it may be installed."""
        base = docker_base.missing()
        if base is not None:
            return Missing(base)
        if _answers(SOCKET):
            return Offer("engine of this machine")
        if os.geteuid() != 0:
            return Missing("no Docker Engine answers, and one is started by root only")
        if shutil.which("dockerd"):
            return Offer("Debian package docker.io", docker_base.first_time())
        reason = packages.installable()
        if reason:
            return Missing(f"the Docker Engine is not installed, and {reason}")
        return Offer("Debian package docker.io", f"installs it (about 15 s){docker_base.first_time()}")

    def start(self, place: Place) -> dict[str, str]:
        """Finds or starts an engine, and imports the base image."""
        path = SOCKET if _answers(SOCKET) else self._started(place)
        image = _imported(path, docker_base.archive(place.processes))
        return {self.variables[0]: f"unix://{path}", self.variables[1]: image}

    def _started(self, place: Place) -> Path:
        if shutil.which("dockerd") is None:
            packages.install("docker.io")
        if shutil.which("iptables") is None:
            packages.install("iptables")  # dockerd looks for it even where it is told to leave it alone
        path = place.folder / "docker.sock"
        # Its containers are other users' processes, and look through its folders.
        place.folder.chmod(0o711)
        engine = place.processes.spawn(
            "dockerd",
            ["dockerd", "--host", f"unix://{path}", "--data-root", place.folder / "data", "--exec-root",
             place.folder / "run", "--pidfile", place.folder / "pid", "--bridge=none", "--iptables=false",
             "--ip-forward=false", "--ip-masq=false", "--shutdown-timeout", "2"],
            log=place.folder / "dockerd.log",
            environment={},
            folder=place.folder,
        )  # fmt: skip
        engine.wait_until(lambda: _answers(path), READY_S)
        return path

    def describe(self) -> str:
        """The product; the engine tells its version only when it runs."""
        return "Docker Engine"


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        probe.connect(str(path))
        probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return probe.recv(64).partition(b" ")[2].startswith(b"200")
    return False


def _imported(path: Path, archive: Path) -> str:
    """The id of the base image in the engine; imported once, its name tells the archive."""
    name, tag = "studio9-test-base", archive.parent.name
    client = docker.APIClient(base_url=f"unix://{path}", version="auto", timeout=IMPORT_S)
    try:
        if not client.images(f"{name}:{tag}"):
            client.import_image_from_file(str(archive), repository=name, tag=tag)
        return str(client.inspect_image(f"{name}:{tag}")["Id"])
    except DockerException as error:
        raise ProcessEnded(f"the base image cannot be imported: {error}") from None
    finally:
        client.close()
