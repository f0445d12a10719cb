"""RabbitMQ from the Debian package, as a private node: own data, own epmd, own user, loopback only."""

import os
import secrets
import shutil
import signal
from pathlib import Path

import httpx

from studio9_cli.servers import packages
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
        user = packages.run_as("rabbitmq", "nobody")
        folder, processes = place.folder, place.processes
        amqp, http, distribution, epmd = (processes.free_port() for _ in range(4))
        login = {"user": "studio9", "password": secrets.token_hex(16)}
        (folder / "rabbitmq.conf").write_text(CONFIGURATION.format(amqp=amqp, http=http, **login), encoding="utf-8")
        (folder / "enabled_plugins").write_text("[rabbitmq_management].\n", encoding="utf-8")
        packages.give(folder, user)
        folder.chmod(0o700)
        environment = {
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
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        # Started by us, or the node would leave a daemon behind that ends with nobody.
        place.processes.spawn(
            "epmd",
            [shutil.which("epmd") or "epmd"],
            log=folder.with_suffix(".epmd.log"),
            environment=environment,
            folder=folder,
            user=user,
        )
        node = place.processes.spawn(
            "rabbitmq",
            [SCRIPT],
            log=folder.with_suffix(".log"),
            environment=environment,
            folder=folder,
            user=user,
            # An orderly end takes seconds and keeps data that goes with the run.
            stop_signal=signal.SIGKILL,
        )
        management = f"http://{login['user']}:{login['password']}@127.0.0.1:{http}"
        node.wait_until(lambda: _answers(f"{management}/api/health/checks/port-listener/{amqp}"), within_s=90)
        url = f"amqp://{login['user']}:{login['password']}@127.0.0.1:{amqp}/"
        return {self.variables[0]: url, self.variables[1]: management}

    def describe(self) -> str:
        """Product and version, from the package's folder."""
        found = sorted(SCRIPT.parents[1].glob("lib/rabbitmq_server-*"))
        return f"RabbitMQ {found[-1].name.partition('-')[2]}" if found else "RabbitMQ"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
