"""PostgreSQL from the system's package, as a private cluster on loopback."""

import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from studio9_cli.servers import packages
from studio9_cli.servers.server import Missing, Offer, Place

PACKAGE = "postgresql"
# The data goes with the run, so no write waits for the disk; a killed server process still loses nothing.
SETTINGS = {"fsync": "off", "full_page_writes": "off", "listen_addresses": "127.0.0.1", "max_connections": "200"}


class PostgreSql:
    """One cluster with one superuser. Passwords are kept as md5: redshift-connector cannot read PostgreSQL's list of
    SCRAM mechanisms, and its proxy hands authentication through."""

    name = "postgresql"
    variables: tuple[str, ...] = ("STUDIO9_TEST_POSTGRESQL_URL",)
    needs: tuple[str, ...] = ()

    def find(self) -> Offer | Missing:
        """The newest installed server, or the package where it may be installed."""
        if programs() is not None:
            return Offer("system package")
        reason = packages.installable()
        if reason:
            return Missing(f"no PostgreSQL server is installed, and {reason}")
        return Offer("Debian package postgresql", "installs it")

    def start(self, place: Place) -> dict[str, str]:
        """Makes a cluster, starts it and waits until it accepts connections."""
        if programs() is None:
            packages.install(PACKAGE)
        binaries = programs()
        assert binaries is not None
        user = packages.run_as("postgres", "nobody")
        folder, port = place.folder, place.processes.free_port()
        name, password = "studio9", secrets.token_hex(16)
        (folder / "password").write_text(password, encoding="utf-8")
        packages.give(folder, user)
        folder.chmod(0o700)
        make: list[str | Path] = [
            binaries / "initdb",
            "-D",
            folder / "data",
            "-U",
            name,
            "--pwfile",
            folder / "password",
        ]
        make += ["--auth=md5", "--encoding=UTF8", "--no-locale", "--no-sync"]
        place.processes.run("initdb", make, within_s=60, folder=folder, user=user)
        options = [word for key, value in SETTINGS.items() for word in ("-c", f"{key}={value}")]
        server = place.processes.spawn(
            "postgresql",
            [binaries / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, *options],
            log=folder.with_suffix(".log"),
            environment={},
            folder=folder,
            user=user,
            stop_signal=signal.SIGINT,
        )
        ready: list[str | Path] = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
        server.wait_until(lambda: _succeeds(ready), within_s=60)
        return {self.variables[0]: f"postgresql://{name}:{password}@127.0.0.1:{port}/postgres"}

    def describe(self) -> str:
        """Product and major version, from the folder's name."""
        binaries = programs()
        version = binaries.parent.name if binaries else ""
        return f"PostgreSQL {version}" if version.isdigit() else "PostgreSQL"


def programs() -> Path | None:
    """The folder with the newest server's programs (Debian keeps them out of the PATH)."""
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name))
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found else None


def _succeeds(command: list[str | Path]) -> bool:
    return subprocess.run([str(part) for part in command], check=False).returncode == 0
