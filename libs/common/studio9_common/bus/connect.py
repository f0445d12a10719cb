"""Which adapter an address means."""

from pathlib import Path

from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.bus.port import Bus
from studio9_common.bus.rabbitmq import RabbitBus, Topology
from studio9_common.errors import BadInput

SQLITE = "sqlite:///"


async def open_bus(url: str, *, name: str, topology: Topology = "own") -> Bus:
    """The bus at `sqlite:///file` (embedded; one per process, shared by its services) or at
    `amqp://user:password@host:port/vhost`; `name` is shown to the broker's operator.

    A broker that is away is no error here: each call raises BusUnavailable until it is back. `topology` "given" is for
    broker users that may declare nothing. Raises BadInput for other addresses, BusInUse for an open file.
    """
    if url.startswith(SQLITE) and len(url) > len(SQLITE):
        return await EmbeddedBus.open(Path(url.removeprefix(SQLITE)))
    if url.startswith(("amqp://", "amqps://")):
        return RabbitBus(url, name=name, topology=topology)
    raise BadInput(
        "the bus's address is neither an SQLite file nor a broker",
        field="bus_url",
        fix="write sqlite:///path/to/bus.db or amqp://user:password@host:5672/vhost",
    )
