"""moto's server, a test dependency of this environment: SNS, and S3 → SNS → SQS within its own simulated account."""

import importlib.metadata
import secrets
import sys

from studio9_cli.servers.processes import listening
from studio9_cli.servers.server import Missing, Offer, Place


class Moto:
    """Functional AWS APIs at low volume: its SQS slows down with every message that waits."""

    name = "sns"
    variables: tuple[str, ...] = ("STUDIO9_TEST_SNS_URL",)
    needs: tuple[str, ...] = ()

    def find(self) -> Offer | Missing:
        """Installed in this environment, or not."""
        try:
            return Offer(f"PyPI package moto {importlib.metadata.version('moto')}")
        except importlib.metadata.PackageNotFoundError:
            return Missing("moto is not installed in this environment")

    def start(self, place: Place) -> dict[str, str]:
        """Starts the server and waits until it listens."""
        port = place.processes.free_port()
        process = place.processes.spawn(
            "moto",
            [sys.executable, "-P", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            log=place.folder.with_suffix(".log"),
            environment={},
            folder=place.folder,
        )
        process.wait_until(lambda: listening(port), within_s=60)
        return {self.variables[0]: f"http://studio9{secrets.token_hex(4)}:{secrets.token_hex(20)}@127.0.0.1:{port}"}

    def describe(self) -> str:
        """Product and version."""
        return f"moto {importlib.metadata.version('moto')}"
