"""Puts Baile together from its settings, ports and clients."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from studio9_baile.bell import Bell
from studio9_baile.core import Core
from studio9_baile.database import Database
from studio9_baile.jobs.limits import WATCHED, Limits
from studio9_baile.jobs.running import Background
from studio9_baile.jobs.uploads import Uploads
from studio9_baile.mail import Mailer
from studio9_baile.metrics import measure_outbox
from studio9_baile.prefix import UnderPrefix, checked, networks
from studio9_baile.security.decoder import Decoder
from studio9_baile.security.headers import SecurityHeaders
from studio9_baile.security.load import LimitLoad
from studio9_baile.security.passwords import Passwords
from studio9_baile.security.tokens import UserTokens
from studio9_baile.settings import BaileSettings
from studio9_baile.together import Together
from studio9_baile.ui import BuiltUi
from studio9_baile.usecases import users
from studio9_baile.usecases.catalogue import CatalogueKeeper
from studio9_baile.v1.app import v1_routes
from studio9_baile.v2.app import EXPOSED, METHODS, v2_app
from studio9_baile.v2.middleware import DropTrailingSlash, LimitBody, too_large_problem
from studio9_baile.watching import EventWatch
from studio9_common.bus.port import Bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.clients.aries import AriesClient
from studio9_common.config import LiveConfig
from studio9_common.errors import BadInput, Unavailable
from studio9_common.health import Liveness
from studio9_common.http.app import create_app
from studio9_common.logs import logger
from studio9_common.metrics import Metrics
from studio9_common.metrics_bus import MeasuredBus, measure_queues
from studio9_common.objects import local_http
from studio9_common.objects.local import LocalObjects
from studio9_common.objects.port import Objects
from studio9_common.times import Clock, SystemClock
from studio9_common.tracing import Tracer

V2_PREFIXES = ("/v2.0", "/baile/v2.0")
SENT = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-ID")
"""What browsers of other origins may send besides what they always may."""
OWN_LIMITS = r"^(/baile)?/(v2\.0|objects)/"
"""Paths whose bodies are limited further in."""
CODE = r"^/v1/code$"


class BaileService:
    """Baile. `asgi` serves `/v2.0`, `/v1`, the UI, and the objects where they are a local folder."""

    name = "baile"

    def __init__(self, core: Core, asgi: FastAPI, background: Background) -> None:
        self.core, self.asgi, self._background = core, asgi, background
        self._log = logger(self.name)

    async def start(self) -> None:
        """Brings the database up to date, waiting while it is away, and begins the work behind the requests. Raises
        BadInput where the database does not let Baile in."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Unavailable), wait=wait_random_exponential(multiplier=0.2, max=5)
        ):
            with attempt:
                try:
                    await self.core.database.migrate()
                except Unavailable as error:
                    cause = f"{type(error.__cause__).__name__}: {error.__cause__}"
                    self._log.warning("database_unavailable", message=error.message, cause=cause)
                    raise
        await self._background.start()

    async def stop(self) -> None:
        """Ends the streams of events, and gives back what is in hand."""
        await self.core.watch.close()
        await self._background.stop()
        await self.core.catalogue.close()
        await self.core.decoder.close()
        await self.core.mailer.close()
        await self.core.database.close()

    async def create_bootstrap_token(self) -> str:
        """A one-time token for `POST /v1/bootstrap`."""
        return await users.create_bootstrap_token(self.core)


def build(
    settings: BaileSettings,
    *,
    bus: Bus,
    objects: Objects,
    aries: AriesClient,
    argo: ArgoClient,
    clock: Clock | None = None,
    tracer: Tracer | None = None,
) -> BaileService:
    """Baile from its settings. Bus, objects and clients are shared with other services of the process and closed by
    whoever made them. Raises BadInput for settings that cannot be used."""
    clock, metrics = clock or SystemClock(), Metrics()
    bus = MeasuredBus(bus, metrics)
    _check_prefix(settings)
    database = Database(settings.database, bell=Bell(), clock=clock, pool=settings.database_pool)
    file = settings.state_dir / "configuration.json"
    config = LiveConfig(argo, bus, service="baile", file=file, watched=WATCHED)
    core = Core(
        settings=settings,
        database=database,
        objects=objects,
        clock=clock,
        passwords=Passwords(memory_kib=settings.password_memory_kib),
        tokens=UserTokens(settings.user_keys.get_secret_value(), settings.token_lifetime_s),
        decoder=Decoder(
            processes=settings.decoders,
            max_pixels=settings.max_pixels,
            limit_s=settings.decode_limit_s,
            memory=settings.decode_memory,
        ),
        aries=aries,
        argo=argo,
        catalogue=CatalogueKeeper(database, aries, clock),
        watch=EventWatch(database),
        limits=Limits(config),
        mailer=Mailer(settings),
        uploads=Uploads(database),
        together=Together(),
    )
    tracer = tracer or Tracer()
    background = Background(core, bus, config, tracer)
    measure_queues(metrics, lambda: background.subscribers)
    measure_outbox(metrics, database)
    return BaileService(core, _asgi(core, bus, background, metrics, tracer), background)


def _check_prefix(settings: BaileSettings) -> None:
    """Raises BadInput."""
    prefix = checked(settings.root_path, "root_path")
    networks(settings.trusted_proxies)
    if prefix and settings.public_url and not settings.public_url.rstrip("/").endswith(prefix):
        raise BadInput(
            "The address that users see does not end in the path that everything is served under", field="public_url",
            value=settings.public_url, fix=f"let it end in {prefix}, or empty root_path",
        )  # fmt: skip


def _asgi(core: Core, bus: Bus, background: Background, metrics: Metrics, tracer: Tracer) -> FastAPI:
    settings, alive = core.settings, Liveness()
    alive.watch(background.ended)
    app = create_app(
        "baile",
        checks={"database": core.database.ping, "objects": core.objects.ping, "bus": bus.ping},
        optional={"aries": core.aries.ping, "argo": core.argo.ping},
        alive=alive,
        metrics=metrics,
        tracer=tracer,
        begins_traces=True,
        serves_metrics=settings.metrics_port is None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/v1/openapi.json",
    )
    app.state.core = core
    salsa = v2_app(core)
    app.state.v2 = salsa
    # First, for routes are tried one after the other.
    for prefix in V2_PREFIXES:
        app.mount(prefix, salsa)
    # As they are: including a router builds all of its routes anew for every app.
    app.router.routes.extend(v1_routes().routes)
    if isinstance(core.objects, LocalObjects):
        app.include_router(local_http.router(core.objects), prefix="/objects")
    if settings.ui_dir is not None:
        app.mount("/", BuiltUi(settings.ui_dir))
    app.add_middleware(
        LimitBody,
        usual=settings.max_body,
        uploads={OWN_LIMITS: 1 << 62, CODE: settings.max_code},
        refuse=too_large_problem,
    )
    app.add_middleware(
        LimitLoad,
        at_once=settings.requests_at_once,
        at_once_each=settings.requests_at_once_each,
        each_s=settings.requests_each_s,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=EXPOSED,
            max_age=1800,
        )
    app.add_middleware(SecurityHeaders, ui_policy=settings.ui_policy)
    app.add_middleware(DropTrailingSlash, prefixes=tuple(f"{prefix}/" for prefix in (*V2_PREFIXES, "/v1")))
    # Within UnderPrefix, which looks at the connection's own address; limits are counted for the user's.
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=[str(one) for one in networks(settings.trusted_proxies)])
    app.add_middleware(UnderPrefix, prefix=settings.root_path, proxies=settings.trusted_proxies)
    return app
