"""Elasticsearch: the official server, whose distribution is published as a Maven artifact (variant `integ-test`).

That variant has the core, transport and security modules only: no scripts, no update- or delete-by-query, no ILM.
Format of the file realm: `users` has `name:hash`, `users_roles` has `role:name`; a PBKDF2 hash is
`{PBKDF2}rounds$base64(salt)$base64(HMAC-SHA-512)`.
"""

import base64
import hashlib
import os
import re
import secrets
import shutil
import zipfile
from pathlib import Path

import httpx

from studio9_cli.servers import artifacts, packages
from studio9_cli.servers.processes import Process
from studio9_cli.servers.server import Missing, Offer, Place

VERSION = "9.2.0"
NEEDS_JAVA = 21
ARTIFACT = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{VERSION}:zip"
CACHE = f"elasticsearch-{VERSION}"
SETTINGS = """\
cluster.name: studio9-test
node.name: n1
path.data: {folder}/data
path.logs: {folder}/logs
network.host: 127.0.0.1
http.port: {http}
transport.port: {transport}
discovery.type: single-node
xpack.security.enabled: true
xpack.security.http.ssl.enabled: false
xpack.security.transport.ssl.enabled: false
xpack.security.enrollment.enabled: false
xpack.security.authc.realms.file.file1.order: 0
action.auto_create_index: false
cluster.routing.allocation.disk.threshold_enabled: false
"""
ROUNDS = 1000


class Elasticsearch:
    """One node with security on, its data in the run's folder."""

    name = "elasticsearch"
    variables: tuple[str, ...] = ("STUDIO9_TEST_ELASTICSEARCH_URL",)
    needs: tuple[str, ...] = ()

    def find(self) -> Offer | Missing:
        """The cached artifact, or Maven, and a Java that is new enough."""
        if java_home() is None:
            return Missing(f"needs Java {NEEDS_JAVA} or newer (JAVA_HOME, PATH or /usr/lib/jvm)")
        if artifacts.cached(CACHE):
            return Offer(f"Maven artifact {VERSION} (cached)")
        if shutil.which("mvn") is None:
            return Missing("needs Maven (mvn) to fetch the distribution")
        return Offer(f"Maven artifact {VERSION}", "fetches 97 MB")

    def start(self, place: Place) -> dict[str, str]:
        """Unpacks the distribution, starts one node and waits until its shards can be used."""
        node = ElasticsearchNode(place)
        node.start()
        return {self.variables[0]: node.url}

    def describe(self) -> str:
        """Product and version."""
        return f"Elasticsearch {VERSION}"


class ElasticsearchNode:
    """One node in a folder of its own: `start` may be called again after its process has ended, on the same data.

    Making one unpacks the distribution. Raises ProcessEnded.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._home, folder = place.folder / "home", place.folder
        unpack(artifacts.maven_file(place.processes, CACHE, ARTIFACT), self._home)
        self._user = packages.run_as("elasticsearch", "nobody")
        self.port, transport = place.processes.free_port(), place.processes.free_port()
        name, password = "studio9", secrets.token_hex(16)
        configuration = self._home / "config"
        settings = SETTINGS.format(folder=folder, http=self.port, transport=transport)
        (configuration / "elasticsearch.yml").write_text(settings, encoding="utf-8")
        (configuration / "jvm.options.d").mkdir(exist_ok=True)
        (configuration / "jvm.options.d" / "heap.options").write_text("-Xms512m\n-Xmx512m\n", encoding="utf-8")
        (configuration / "users").write_text(f"{name}:{password_hash(password)}\n", encoding="utf-8")
        (configuration / "users_roles").write_text(f"superuser:{name}\n", encoding="utf-8")
        # Must not be a parent of the home folder, or the server's own entitlement check stops the start.
        (folder / "tmp").mkdir()
        packages.give(folder, self._user)
        folder.chmod(0o700)
        self.url = f"http://{name}:{password}@127.0.0.1:{self.port}"

    def start(self, within_s: float = 180) -> Process:
        """Starts the node and waits until its shards can be used. Raises ProcessEnded."""
        node = self.begin()
        node.wait_until(self.ready, within_s)
        return node

    def begin(self) -> Process:
        """Starts the node without waiting."""
        place = self._place
        return place.processes.spawn(
            "elasticsearch",
            [self._home / "bin" / "elasticsearch"],
            log=place.folder.with_suffix(".log"),
            environment={"ES_TMPDIR": str(place.folder / "tmp"), "ES_JAVA_HOME": str(java_home())},
            folder=place.folder,
            user=self._user,
        )

    def ready(self) -> bool:
        """Whether its shards can be used."""
        return _healthy(self.url)


def java_home(at_least: int = NEEDS_JAVA) -> Path | None:
    """The home of the oldest Java that is new enough, from JAVA_HOME, PATH and the usual folder."""
    candidates = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    program = shutil.which("java")
    if program:
        candidates.append(Path(program).resolve().parents[1])
    candidates += sorted(Path("/usr/lib/jvm").glob("*")) + sorted(
        Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home")
    )
    found = [(version, home) for home in candidates if (version := _java_version(home)) >= at_least]
    return min(found)[1] if found else None


def unpack(archive: Path, home: Path) -> None:
    """Unpacks the distribution's one top folder as `home`, with its files' permissions."""
    with zipfile.ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            path = Path(zipped.extract(entry, home.parent))
            if not entry.is_dir() and entry.external_attr >> 16:
                path.chmod(entry.external_attr >> 16 & 0o777)
    (home.parent / f"elasticsearch-{VERSION}").rename(home)


def password_hash(password: str) -> str:
    """The password as the file realm keeps it."""
    salt = secrets.token_bytes(32)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS, 32)
    return f"{{PBKDF2}}{ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _java_version(home: Path) -> int:
    try:
        text = (home / "release").read_text(encoding="utf-8")
    except OSError:
        return 0
    match = re.search(r'JAVA_VERSION="(\d+)', text)
    return int(match.group(1)) if match else 0


def _healthy(url: str) -> bool:
    try:
        answer = httpx.get(f"{url}/_cluster/health", timeout=5)
        return answer.status_code == 200 and answer.json()["status"] in ("green", "yellow")
    except httpx.HTTPError:
        return False
