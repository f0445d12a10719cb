"""A private registry of images: Debian's docker-registry, on the loopback with one user and a random password.

An engine of this machine takes registries on the loopback without TLS.
"""

import ctypes
import secrets
import shutil

import httpx

from studio9_cli.servers import packages
from studio9_cli.servers.processes import ProcessEnded
from studio9_cli.servers.server import Missing, Offer, Place

USER = "studio9"
READY_S = 60.0
CONFIGURATION = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {data}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
auth:
  htpasswd: {{realm: studio9, path: {users}}}
"""


class Registry:
    """Images by digest, for those who sign in."""

    name = "registry"
    variables: tuple[str, ...] = ("STUDIO9_TEST_REGISTRY_URL",)
    needs: tuple[str, ...] = ()

    def find(self) -> Offer | Missing:
        """The installed package, or the package where it may be installed."""
        if shutil.which("docker-registry"):
            return Offer("Debian package docker-registry")
        reason = packages.installable()
        if reason:
            return Missing(f"docker-registry is not installed, and {reason}")
        return Offer("Debian package docker-registry", "installs it (about 5 s)")

    def start(self, place: Place) -> dict[str, str]:
        """Starts it and waits until it answers."""
        if shutil.which("docker-registry") is None:
            packages.install("docker-registry")
        port, password = place.processes.free_port(), secrets.token_hex(16)
        users, configuration = place.folder / "users", place.folder / "registry.yml"
        users.write_text(f"{USER}:{bcrypt(password)}\n", encoding="utf-8")
        settings = CONFIGURATION.format(data=place.folder / "data", port=port, users=users)
        configuration.write_text(settings, encoding="utf-8")
        process = place.processes.spawn(
            "docker-registry",
            ["docker-registry", "serve", configuration],
            log=place.folder / "log",
            environment={"OTEL_TRACES_EXPORTER": "none"},
            folder=place.folder,
        )
        process.wait_until(lambda: _answers(port), READY_S)
        return {self.variables[0]: f"http://{USER}:{password}@127.0.0.1:{port}"}

    def describe(self) -> str:
        """The product."""
        return "Docker Registry"


def bcrypt(password: str) -> str:
    """The only form of a password that the registry reads, by the system's libcrypt. Raises ProcessEnded."""
    try:
        library = ctypes.CDLL("libcrypt.so.1")
    except OSError as error:
        raise ProcessEnded(f"the registry's password cannot be hashed: {error}") from None
    library.crypt.restype = ctypes.c_char_p
    salt = "$2b$05$" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(21)) + "e"
    hashed: bytes | None = library.crypt(password.encode(), salt.encode())
    if not hashed or not hashed.startswith(b"$2b$"):
        raise ProcessEnded("the registry's password cannot be hashed: libcrypt knows no bcrypt")
    return hashed.decode()


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/", timeout=5).status_code == 401
    except httpx.HTTPError:
        return False
