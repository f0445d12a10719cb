"""Redshift for tests: its wire protocol, SQL attributes and COPY, by a proxy in front of the PostgreSQL above."""

import sys
from urllib.parse import urlsplit

from studio9_cli.servers.processes import listening
from studio9_cli.servers.server import Missing, Offer, Place


class Redshift:
    """The proxy of `redshift_proxy`; its storage is the PostgreSQL server, its COPY reads the S3 server."""

    name = "redshift"
    variables: tuple[str, ...] = ("STUDIO9_TEST_REDSHIFT_URL",)
    needs: tuple[str, ...] = ("postgresql", "s3")

    def find(self) -> Offer | Missing:
        """Always: it is part of this package, and `needs` says what it stands on."""
        return Offer("own proxy in front of PostgreSQL and S3")

    def start(self, place: Place) -> dict[str, str]:
        """Starts the proxy and waits until it listens."""
        database = urlsplit(place.addresses["STUDIO9_TEST_POSTGRESQL_URL"])
        objects = urlsplit(place.addresses["STUDIO9_TEST_S3_URL"])
        port = place.processes.free_port()
        command = [sys.executable, "-P", "-m", "studio9_cli.servers.redshift_proxy", "--listen", str(port)]
        process = place.processes.spawn(
            "redshift-proxy",
            [*command, "--postgresql", f"{database.hostname}:{database.port}"],
            log=place.folder.with_suffix(".log"),
            environment={
                "AWS_ACCESS_KEY_ID": objects.username or "",
                "AWS_SECRET_ACCESS_KEY": objects.password or "",
                "AWS_ENDPOINT_URL_S3": f"http://{objects.hostname}:{objects.port}",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            folder=place.folder,
        )
        process.wait_until(lambda: listening(port), within_s=30)
        name = database.path.lstrip("/")
        return {self.variables[0]: f"redshift://{database.username}:{database.password}@127.0.0.1:{port}/{name}"}

    def describe(self) -> str:
        """What it is."""
        return "Redshift wire proxy"
