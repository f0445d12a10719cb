"""RabbitMQ from the Debian package, as a private node: own data, own epmd, own user, loopback only."""

import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import httpx

from studio9_cli.servers import packages
from studio9_cli.servers.processes import Process
from studio9_cli.servers.server import Missing, Offer, Place

# The real start script: Debian's wrapper in /usr/sbin changes the user and the folders.
SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONFIGURATION = """\
listeners.tcp.default = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {http}
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 200MB
log.console = true
log.file = false
"""


class RabbitMq:
    """RabbitMQ with its management plugin."""

    name = "rabbitmq"
    variables: tuple[str, ...] = ("STUDIO9_TEST_RABBITMQ_URL", "STUDIO9_TEST_RABBITMQ_MANAGEMENT_URL")
    needs: tuple[str, ...] = ()

    def find(self) -> Offer | Missing:
        """The installed package, or the package where it may be installed."""
        if SCRIPT.exists():
            return Offer("Debian package rabbitmq-server")
        reason = packages.installable()
        if reason:
            return Missing(f"rabbitmq-server is not installed, and {reason}")
        return Offer("Debian package rabbitmq-server", "installs it (about 15 s)")

    def start(self, place: Place) -> dict[str, str]:
        """Starts one node and waits for its management API."""
        if not SCRIPT.exists():
            packages.install("rabbitmq-server")
        node = RabbitNode(place)
        node.start()
        return {self.variables[0]: node.url, self.variables[1]: node.management}

    def describe(self) -> str:
        """Product and version, from the package's folder."""
        found = sorted(SCRIPT.parents[1].glob("lib/rabbitmq_server-*"))
        return f"RabbitMQ {found[-1].name.partition('-')[2]}" if found else "RabbitMQ"


class RabbitNode:
    """One node in a folder of its own: `start` may be called again after its process has ended, on the same data.

    `rabbit` are values of the application `rabbit`, such as consumer_timeout (milliseconds); rabbitmq.conf has no line
    for some of them.
    """

    def __init__(self, place: Place, rabbit: Mapping[str, int] | None = None) -> None:
        self._user = packages.run_as("rabbitmq", "nobody")
        self._folder, self._processes = place.folder, place.processes
        self.port, http, distribution, epmd = (place.processes.free_port() for _ in range(4))
        login = {"user": "studio9", "password": secrets.token_hex(16)}
        self.url = f"amqp://{login['user']}:{login['password']}@127.0.0.1:{self.port}/"
        self.management = f"http://{login['user']}:{login['password']}@127.0.0.1:{http}"
        folder = place.folder
        (folder / "rabbitmq.conf").write_text(
            CONFIGURATION.format(amqp=self.port, http=http, **login), encoding="utf-8"
        )
        (folder / "enabled_plugins").write_text("[rabbitmq_management].\n", encoding="utf-8")
        packages.give(folder, self._user)
        folder.chmod(0o700)
        self._environment = {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd),
            "RABBITMQ_NODENAME": f"studio9-{os.getpid()}@localhost",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": " ".join(
                ["-kernel inet_dist_use_interface {127,0,0,1}"]
                + [f"-rabbit {name} {value}" for name, value in (rabbit or {}).items()]
            ),
        }
        # Started by us, or the node would leave a daemon behind that ends with nobody.
        self._spawn("epmd", shutil.which("epmd") or "epmd", folder.with_suffix(".epmd.log"))

    @property
    def log(self) -> Path:
        """What the node says."""
        return self._folder.with_suffix(".log")

    def start(self, within_s: float = 90) -> Process:
        """Starts the node and waits until it takes connections. Raises ProcessEnded."""
        node = self.begin()
        node.wait_until(self.ready, within_s)
        return node

    def begin(self) -> Process:
        """Starts the node without waiting."""
        # An orderly end takes seconds and keeps data that goes with the run.
        return self._spawn("rabbitmq", SCRIPT, self.log, stop_signal=signal.SIGKILL)

    def ready(self) -> bool:
        """Whether it takes connections."""
        return _answers(f"{self.management}/api/health/checks/port-listener/{self.port}")

    def evaluate(self, expression: str) -> None:
        """Has the running node evaluate Erlang: what a test breaks from inside. Raises ProcessEnded."""
        command = [str(SCRIPT.with_name("rabbitmqctl")), "eval", expression]
        self._processes.run(
            "rabbitmqctl", command, within_s=60, folder=self._folder, environment=self._environment, user=self._user
        )

    def _spawn(self, name: str, program: str | Path, log: Path, stop_signal: int = signal.SIGTERM) -> Process:
        return self._processes.spawn(
            name,
            [program],
            log=log,
            environment=self._environment,
            folder=self._folder,
            user=self._user,
            stop_signal=stop_signal,
        )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
