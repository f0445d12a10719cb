"""All the servers of a run: each from its address in the environment, else started here, all at the same time.

A server's `find` decides where it comes from: system packages and package artifacts today; a container would stand
before them.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from studio9_cli.servers.docker import Docker
from studio9_cli.servers.elasticmq import ElasticMq
from studio9_cli.servers.elasticsearch import Elasticsearch
from studio9_cli.servers.moto import Moto
from studio9_cli.servers.postgresql import PostgreSql
from studio9_cli.servers.processes import ProcessEnded, Processes
from studio9_cli.servers.rabbitmq import RabbitMq
from studio9_cli.servers.redshift import Redshift
from studio9_cli.servers.registry import Registry
from studio9_cli.servers.s3 import S3
from studio9_cli.servers.server import Missing, Place, Server


def servers() -> tuple[Server, ...]:
    """One of each kind, in the order of reports."""
    return (RabbitMq(), Elasticsearch(), PostgreSql(), S3(), ElasticMq(), Moto(), Redshift(), Docker(), Registry())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one server: its addresses by variable, or the reason why there are none."""

    name: str
    product: str
    origin: str
    addresses: Mapping[str, str]
    reason: str = ""
    seconds: float = 0.0


class Fleet:
    """Starts servers in the background. A context manager: the end of the block ends every server.

    Nothing here raises for a server that cannot be had; its outcome carries the reason.
    """

    def __init__(self, wanted: Iterable[Server] | None = None) -> None:
        self._wanted: Sequence[Server] = tuple(servers() if wanted is None else wanted)
        self._pool = ThreadPoolExecutor(max_workers=max(1, len(self._wanted)), thread_name_prefix="server")
        self._outcomes: dict[str, Future[Outcome]] = {}
        self._submitted = threading.Event()
        self._processes = Processes()
        self._folder = Path(tempfile.mkdtemp(prefix="studio9-servers-"))

    def __enter__(self) -> "Fleet":
        # Servers run as users of their own, so they must be able to pass through; each one's folder is closed.
        self._folder.chmod(0o711)
        self._processes.remove_at_end(self._folder)
        for server in self._wanted:
            self._outcomes[server.name] = self._pool.submit(self._one, server)
        self._submitted.set()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._processes.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def outcomes(self) -> list[Outcome]:
        """Every server's outcome; waits until each has one."""
        return [self._outcomes[server.name].result() for server in self._wanted]

    def addresses(self, *names: str) -> dict[str, str]:
        """The environment variables for tests, of these servers or of all; waits until each has its outcome."""
        outcomes = [self._outcomes[server.name].result() for server in self._named(names)]
        return {variable: url for outcome in outcomes for variable, url in outcome.addresses.items()}

    def reasons(self, *names: str) -> dict[str, str]:
        """Why a variable has no value, for each that has none, of these servers or of all."""
        outcomes = {server: self._outcomes[server.name].result() for server in self._named(names)}
        return {
            variable: outcome.reason
            for server, outcome in outcomes.items()
            for variable in server.variables
            if variable not in outcome.addresses
        }

    def _named(self, names: Sequence[str]) -> list[Server]:
        return [server for server in self._wanted if not names or server.name in names]

    def _one(self, server: Server) -> Outcome:
        started = time.monotonic()
        given = {name: os.environ[name] for name in server.variables if os.environ.get(name)}
        if server.variables[0] in given:
            return Outcome(server.name, server.name, "address in the environment", given)
        offer = server.find()
        if isinstance(offer, Missing):
            return Outcome(server.name, server.describe(), "", {}, offer.reason)
        try:
            addresses = server.start(Place(self._make_folder(server.name), self._processes, self._needed(server)))
        except ProcessEnded as error:
            return Outcome(server.name, server.describe(), offer.origin, {}, f"did not start: {error}")
        seconds = time.monotonic() - started
        return Outcome(server.name, server.describe(), offer.origin, addresses, seconds=seconds)

    def _needed(self, server: Server) -> dict[str, str]:
        found: dict[str, str] = {}
        self._submitted.wait()
        for name in server.needs:
            outcome = self._outcomes[name].result() if name in self._outcomes else None
            if outcome is None or not outcome.addresses:
                raise ProcessEnded(f"needs {name}, which is not running")
            found.update(outcome.addresses)
        return found

    def _make_folder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        return folder
