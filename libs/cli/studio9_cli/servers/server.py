"""What a server module offers, and the words for finding and running one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from studio9_cli.servers.processes import Processes


@dataclass(frozen=True, slots=True)
class Offer:
    """A server can be had. `origin` says where it comes from, `first_time` what the first start has to do."""

    origin: str
    first_time: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A server cannot be had here; `reason` says what to change."""

    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server may run: its own folder, the keeper of its processes, the addresses of what runs already."""

    folder: Path
    processes: Processes
    addresses: Mapping[str, str] = field(default_factory=dict)


class Server(Protocol):
    """One kind of server. `variables` are the environment variables it sets, the principal one first; `needs` names
    the servers that must run before it."""

    name: str
    variables: tuple[str, ...]
    needs: tuple[str, ...]

    def find(self) -> Offer | Missing:
        """How this server could be had on this machine. Cheap: nothing is started, installed or fetched."""

    def start(self, place: Place) -> dict[str, str]:
        """Installs or fetches what is missing, starts it and waits until it answers; value by variable.

        Raises `ProcessEnded` with the end of the log.
        """

    def describe(self) -> str:
        """The server's product and version, for the summary."""
