"""A whole platform for one run: its own broker and store, a proxy on every way to them, and the services."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from studio9_cli.chaos.pace import Pace
from studio9_cli.chaos.plan import LINKS, ORIONS, SERVICES
from studio9_cli.chaos.servers import Server
from studio9_cli.chaos.services import Services, Wiring
from studio9_cli.deployment import broker_definitions
from studio9_cli.servers.elasticsearch import Elasticsearch, ElasticsearchNode
from studio9_cli.servers.instances import service_of
from studio9_cli.servers.processes import Processes
from studio9_cli.servers.rabbitmq import RabbitMq, RabbitNode
from studio9_cli.servers.server import Missing, Place
from studio9_cli.servers.toxiproxy import Proxies, Toxiproxy
from studio9_common.bus import Bus, open_bus
from studio9_common.clients.aries import AriesClient
from studio9_common.objects.local import LocalObjects
from studio9_common.tokens import TokenKeys

VHOST = "studio9"
TICK_MS = 1000
"""How often RabbitMQ looks for deliveries that are held too long; by default once a minute."""


class CannotRun(Exception):
    """A server that the run needs cannot be had here; the message says which and why."""


@dataclass(slots=True)
class Platform:
    """What runs, and the means to look at it from outside. `proxies` is None where Toxiproxy cannot be had."""

    folder: Path
    processes: Processes
    broker: Server
    store: Server
    services: Services
    proxies: Proxies | None
    without_proxies: str
    products: Mapping[str, str]
    bus: Bus
    aries: AriesClient
    objects: LocalObjects
    vhost: str
    management: str

    @property
    def broker_log(self) -> Path:
        """What the broker says."""
        return self.folder / "broker.log"

    def server(self, name: str) -> Server:
        """`broker` or `store`."""
        return self.broker if name == "broker" else self.store

    async def delete_queues(self) -> int:
        """Every queue with what is in it; how many there were."""
        async with self._http() as http:
            listed = (await http.get(f"/api/queues/{VHOST}")).raise_for_status().json()
            for queue in listed:
                await http.delete(f"/api/queues/{VHOST}/{quote(queue['name'], safe='')}")
        return len(listed)

    def _http(self) -> httpx.AsyncClient:
        place = urlsplit(self.management)
        login = (place.username or "", place.password or "")
        return httpx.AsyncClient(auth=login, base_url=f"http://{place.hostname}:{place.port}", timeout=30)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one run. Servers run as users of their own, so everybody may pass through it."""
    with tempfile.TemporaryDirectory(prefix="studio9-chaos-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@asynccontextmanager
async def running(
    folder: Path, pace: Pace, *, delivery_timeout_s: float | None = None, proxied: bool = True
) -> AsyncIterator[Platform]:
    """A platform whose servers run and whose services start, until the block ends. Raises CannotRun, ProcessEnded.

    `delivery_timeout_s`: after how long RabbitMQ cuts a consumer that holds a delivery; its default is half an hour.
    """
    offers = {server.name: server.find() for server in (RabbitMq(), Elasticsearch())}
    missing = [f"{name}: {offer.reason}" for name, offer in offers.items() if isinstance(offer, Missing)]
    if missing:
        raise CannotRun("; ".join(missing))
    processes = Processes()
    platform: Platform | None = None
    try:
        platform = await _started(folder, pace, processes, delivery_timeout_s, proxied)
        yield platform
    finally:
        if platform is not None:
            await platform.aries.close()
            await platform.objects.close()
            await platform.bus.close()
            for name in SERVICES:
                if service_of(name) == "worker":
                    await asyncio.to_thread(platform.services.kill_tasks, name)
        await asyncio.to_thread(processes.close)


async def _started(
    folder: Path, pace: Pace, processes: Processes, delivery_timeout_s: float | None, proxied: bool
) -> Platform:
    rabbit = {} if delivery_timeout_s is None else {"consumer_timeout": int(1000 * delivery_timeout_s)}
    if rabbit:
        rabbit["channel_tick_interval"] = TICK_MS
    broker, store, (proxies, why_not) = await asyncio.gather(
        asyncio.to_thread(_broker, processes, folder, rabbit),
        asyncio.to_thread(_store, processes, folder),
        asyncio.to_thread(_proxies, processes, folder, proxied),
    )
    keys = TokenKeys.generate()
    wiring = await asyncio.to_thread(_wire, folder, processes, broker, store, proxies, keys)
    node = broker.node
    assert isinstance(node, RabbitNode)
    services = Services(processes, wiring, pace)
    services.begin()
    address = urlsplit(node.url)._replace(path=f"/{VHOST}").geturl()
    return Platform(
        folder=folder,
        processes=processes,
        broker=broker,
        store=store,
        services=services,
        proxies=proxies,
        without_proxies=why_not,
        products={
            "broker": RabbitMq().describe(),
            "store": Elasticsearch().describe(),
            "proxy": Toxiproxy().describe() if proxies else "none",
        },
        bus=await open_bus(address, name="chaos"),
        aries=AriesClient(services.address("aries"), service="baile", keys=TokenKeys(keys), timeout_s=10, retry_s=0),
        objects=await asyncio.to_thread(LocalObjects, wiring.objects, base_url="http://127.0.0.1/objects"),
        vhost=address,
        management=node.management,
    )


def _place(processes: Processes, folder: Path, name: str) -> Place:
    own = folder / name
    own.mkdir(mode=0o700)
    return Place(own, processes)


def _broker(processes: Processes, folder: Path, rabbit: Mapping[str, int]) -> Server:
    node = RabbitNode(_place(processes, folder, "broker"), rabbit)
    server = Server("broker", node, processes)
    server.process = node.start()
    return server


def _store(processes: Processes, folder: Path) -> Server:
    node = ElasticsearchNode(_place(processes, folder, "store"))
    server = Server("store", node, processes)
    server.process = node.start()
    return server


def _proxies(processes: Processes, folder: Path, wanted: bool) -> tuple[Proxies | None, str]:
    kind = Toxiproxy()
    offer = kind.find()
    if not wanted or isinstance(offer, Missing):
        return None, offer.reason if isinstance(offer, Missing) else "not asked for"
    addresses = kind.start(_place(processes, folder, "proxy"))
    return Proxies(addresses[kind.variables[0]]), ""


def _wire(
    folder: Path, processes: Processes, broker: Server, store: Server, proxies: Proxies | None, keys: str
) -> Wiring:
    """Makes the vhost with a user per service, and a proxy per link."""
    node = broker.node
    assert isinstance(node, RabbitNode)
    passwords = {service: os.urandom(16).hex() for service in ("orion", "worker")}
    place = urlsplit(node.management)
    login = (place.username or "", place.password or "")
    with httpx.Client(auth=login, base_url=f"http://{place.hostname}:{place.port}/api", timeout=30) as http:
        http.post("/definitions", json=broker_definitions(passwords, VHOST)).raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        http.put(f"/permissions/{VHOST}/{place.username}", json=everything).raise_for_status()
    ports = {name: processes.free_port() for name in SERVICES}
    upstream = {"broker": broker.node.port, "store": store.node.port, "aries": ports["aries"]}
    port_of = partial(_link, processes, proxies, upstream)
    through = {link: port_of(link) for link in LINKS}
    speaking = [name for name in SERVICES if name != "aries"]
    return Wiring(
        installation="chaos",
        folder=folder,
        token_keys=keys,
        broker={
            name: f"amqp://{service_of(name)}:{passwords[service_of(name)]}@127.0.0.1:{through[name, 'broker']}/{VHOST}"
            for name in speaking
        },
        store=store.node.url.replace(f":{store.node.port}", f":{through['aries', 'store']}"),
        aries={name: f"http://127.0.0.1:{through[name, 'aries']}" for name in ORIONS},
        ports=ports,
    )


def _link(processes: Processes, proxies: Proxies | None, upstream: Mapping[str, int], link: tuple[str, str]) -> int:
    """The port on which a service reaches a server."""
    if proxies is None:
        return upstream[link[1]]
    port = processes.free_port()
    proxies.make(":".join(link), port, upstream[link[1]])
    return port
