"""ElasticMQ from Maven: SQS semantics with messages kept on disk."""

import secrets
import shutil
from pathlib import Path

import httpx

from studio9_cli.servers import artifacts
from studio9_cli.servers.elasticsearch import java_home
from studio9_cli.servers.server import Missing, Offer, Place

VERSION = "1.6.14"
NEEDS_JAVA = 11
CACHE = f"elasticmq-{VERSION}"
CONFIGURATION = """\
include classpath("application.conf")
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
messages-storage {{ enabled = true, driver-class = "org.h2.Driver", uri = "jdbc:h2:./data/messages", \
username = "studio9", password = "{password}", prune-data-on-init = false }}
"""


class ElasticMq:
    """SQS: visibility, receive counts, redrive, FIFO, long polling. It checks no signature."""

    name = "sqs"
    variables: tuple[str, ...] = ("STUDIO9_TEST_SQS_URL",)
    needs: tuple[str, ...] = ()

    def find(self) -> Offer | Missing:
        """The cached jars, or Maven, and a Java."""
        if java_home(NEEDS_JAVA) is None:
            return Missing(f"needs Java {NEEDS_JAVA} or newer (JAVA_HOME, PATH or /usr/lib/jvm)")
        if artifacts.cached(CACHE):
            return Offer(f"Maven artifact {VERSION} (cached)")
        if shutil.which("mvn") is None:
            return Missing("needs Maven (mvn) to fetch ElasticMQ")
        return Offer(f"Maven artifact {VERSION}", "fetches 40 jars")

    def start(self, place: Place) -> dict[str, str]:
        """Starts the server and waits until it answers."""
        jars = artifacts.maven_classpath(place.processes, CACHE, "org.elasticmq", "elasticmq-server_2.13", VERSION)
        port = place.processes.free_port()
        configuration = place.folder / "elasticmq.conf"
        settings = CONFIGURATION.format(port=port, password=secrets.token_hex(16))
        configuration.write_text(settings, encoding="utf-8")
        java = Path(java_home(NEEDS_JAVA) or "") / "bin" / "java"
        command: list[str | Path] = [java, "-Xmx256m", f"-Dconfig.file={configuration}", "-cp", f"{jars}/*"]
        process = place.processes.spawn(
            "elasticmq",
            [*command, "org.elasticmq.server.Main"],
            log=place.folder.with_suffix(".log"),
            environment={},
            folder=place.folder,
        )
        process.wait_until(lambda: _answers(port), within_s=90)
        url = f"http://studio9{secrets.token_hex(4)}:{secrets.token_hex(20)}@127.0.0.1:{port}"
        return {self.variables[0]: url}

    def describe(self) -> str:
        """Product and version."""
        return f"ElasticMQ {VERSION}"


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/?Action=ListQueues", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
