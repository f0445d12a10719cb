"""Every service in one process on embedded ports: the laptop mode, the demo, the fast tests."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from studio9_argo import app as argo
from studio9_argo.settings import ArgoSettings
from studio9_aries import app as aries
from studio9_aries.settings import AriesSettings
from studio9_baile import app as baile
from studio9_baile.app import BaileService
from studio9_baile.settings import BaileSettings, Bucket
from studio9_cli.platform.access import NAME, access_app
from studio9_cli.platform.operators import operators_app
from studio9_cli.platform.ports import Ports, open_ports
from studio9_cli.platform.state import Running, Secrets, StateFolder
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient
from studio9_common.service import HttpServer, Service
from studio9_common.tokens import TokenKeys
from studio9_common.tracing import Tracer
from studio9_common.tracing_otlp import open_tracer
from studio9_orion import app as orion
from studio9_orion.settings import OrionSettings
from studio9_pegasus import app as pegasus
from studio9_pegasus.settings import PegasusSettings
from studio9_taurus import app as taurus
from studio9_taurus.settings import TaurusSettings
from studio9_worker import app as worker
from studio9_worker.settings import WorkerSettings

HOST = "127.0.0.1"
SERVICES = ("aries", "argo", "orion", "pegasus", "taurus", "baile", "worker")
INSTALLATION = "studio9"
BUCKET = "incoming"
"""The watched place of online prediction: a folder below `buckets` that behaves like a bucket."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a platform is started. Ports: 0 takes a free one. `otlp_url`: the collector of spans; empty: none.
    `buckets_endpoint`: the S3 server that answers for users' buckets; empty: AWS."""

    state: Path
    trainers_python: Path
    commit: str
    port: int = 20016
    operators_port: int = 0
    ui_dir: Path | None = None
    otlp_url: str = ""
    buckets_endpoint: str = ""


@asynccontextmanager
async def platform(options: Options) -> AsyncIterator[Running]:
    """A running platform, until the block ends. Raises AlreadyRunning, and OSError for a port that is taken."""
    folder = StateFolder(options.state)
    secrets = folder.secrets()
    keys = TokenKeys(secrets.token_keys)
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.hold())
        front = HttpServer(HOST, options.port)
        stack.push_async_callback(front.stop)
        back = HttpServer(HOST, options.operators_port)
        stack.push_async_callback(back.stop)
        address = f"http://{HOST}:{front.port}"
        ports = await stack.enter_async_context(open_ports(folder.path, public_url=address))
        tracers = {
            name: await stack.enter_async_context(open_tracer(options.otlp_url, name, INSTALLATION))
            for name in SERVICES
        }
        services = _Composition(options, folder.path, secrets, ports, address, stack, tracers).services()
        for service in services:
            stack.push_async_callback(service.stop)
            await service.start()
        public = next(service for service in services if isinstance(service, BaileService))
        behind = {service.name: service.asgi for service in services}
        await back.start(operators_app(behind | {NAME: access_app(public, keys)}))
        await front.start(public.asgi)
        running = Running(os.getpid(), address, f"http://{HOST}:{back.port}")
        folder.announce(running)
        yield running


class _Composition:
    """Builds the services in the order of their start: each finds what it calls."""

    def __init__(
        self,
        options: Options,
        state: Path,
        secrets: Secrets,
        ports: Ports,
        address: str,
        stack: AsyncExitStack,
        tracers: Mapping[str, Tracer],
    ) -> None:
        self._options, self._state, self._secrets, self._ports = options, state, secrets, ports
        self._address, self._stack, self._tracers = address, stack, tracers
        self._keys = TokenKeys(secrets.token_keys)

    def services(self) -> list[Service]:
        ports, keys, tracers = self._ports, self._keys, self._tracers
        documents = aries.build(
            AriesSettings(**self._common("aries")), documents=ports.aries, keys=keys, tracer=tracers["aries"]
        )
        settings = ArgoSettings(**self._common("argo"), fernet_keys=SecretStr(self._secrets.fernet_keys))
        configuration = argo.build(settings, documents=ports.argo, bus=ports.bus, keys=keys, tracer=tracers["argo"])

        def aries_of(service: str) -> AriesClient:
            client = AriesClient(documents.asgi, service=service, keys=keys)
            self._stack.push_async_callback(client.close)
            return client

        def argo_of(service: str) -> ArgoClient:
            client = ArgoClient(configuration.asgi, service=service, keys=keys)
            self._stack.push_async_callback(client.close)
            return client

        return [
            documents,
            configuration,
            orion.build(
                OrionSettings(**self._common("orion")),
                bus=ports.bus,
                store=aries_of("orion"),
                objects=ports.objects,
                keys=keys,
                argo=argo_of("orion"),
                tracer=tracers["orion"],
            ),
            self._pegasus(argo_of("pegasus")),
            taurus.build(
                TaurusSettings(**self._common("taurus"), buckets_dir=self._state / "buckets"),
                bus=ports.bus,
                objects=ports.objects,
                streams=ports.streams,
                aries=aries_of("taurus"),
                argo=argo_of("taurus"),
                keys=keys,
                tracer=tracers["taurus"],
            ),
            baile.build(
                BaileSettings(
                    **self._common("baile"),
                    user_keys=SecretStr(self._secrets.user_keys),
                    public_url=self._address,
                    ui_dir=self._options.ui_dir,
                    buckets=(Bucket(id=BUCKET, name=BUCKET),),
                    buckets_endpoint=self._options.buckets_endpoint,
                ),
                bus=ports.bus,
                objects=ports.objects,
                aries=aries_of("baile"),
                argo=argo_of("baile"),
                tracer=tracers["baile"],
            ),
            worker.build(
                WorkerSettings(
                    **self._common("worker"),
                    trainers_python=self._options.trainers_python,
                    threads=1,
                    stop_tasks_on_exit=True,
                    buckets_endpoint=self._options.buckets_endpoint,
                ),
                bus=ports.bus,
                objects=ports.objects,
                argo=argo_of("worker"),
                tracer=tracers["worker"],
            ),
        ]

    def _pegasus(self, argo: ArgoClient) -> Service:
        settings = PegasusSettings(**self._common("pegasus"))
        warehouse = settings.open_warehouse(self._ports.objects)
        self._stack.push_async_callback(warehouse.close)
        return pegasus.build(
            settings,
            bus=self._ports.bus,
            objects=self._ports.objects,
            warehouse=warehouse,
            argo=argo,
            keys=self._keys,
            tracer=self._tracers["pegasus"],
        )

    def _common(self, service: str) -> dict[str, Any]:
        return {
            "installation": INSTALLATION,
            "state_dir": self._state / service,
            "commit": self._options.commit,
            "log_format": "console",
        }
