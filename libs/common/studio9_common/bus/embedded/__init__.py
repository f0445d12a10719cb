"""The bus inside one process, kept in a SQLite file: nothing confirmed is lost, whatever happens to the process."""

from studio9_common.bus.embedded.bus import EmbeddedBus
from studio9_common.bus.embedded.store import BusInUse

__all__ = ["BusInUse", "EmbeddedBus"]
