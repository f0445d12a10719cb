"""`python -m studio9_taurus`: Taurus in a process of its own, from its settings."""

from studio9_common.loading import loading

with loading():
    from studio9_common.bus import open_bus
    from studio9_common.clients.argo import ArgoClient
    from studio9_common.clients.aries import AriesClient
    from studio9_common.logs import configure_logs
    from studio9_common.service import run, run_service
    from studio9_common.tokens import TokenKeys
    from studio9_common.tracing_otlp import open_tracer
    from studio9_taurus.app import build
    from studio9_taurus.settings import TaurusSettings


async def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    settings = TaurusSettings.of_process()
    configure_logs(settings.log_level, settings.log_format)
    keys = TokenKeys(settings.token_keys.get_secret_value())
    objects = settings.open_objects()
    streams = settings.open_streams()
    bus = await open_bus(settings.bus_url, name=settings.service)
    aries = AriesClient(settings.aries_url, service=settings.service, keys=keys)
    argo = ArgoClient(settings.argo_url, service=settings.service, keys=keys)
    try:
        async with open_tracer(settings.otlp_url, "taurus", settings.installation) as tracer:
            taurus = build(
                settings, bus=bus, objects=objects, streams=streams, aries=aries, argo=argo, keys=keys, tracer=tracer
            )
            await run_service(taurus, settings.host, settings.port)
    finally:
        for one in (argo, aries, bus, streams, objects):
            await one.close()


if __name__ == "__main__":
    run(main(), "taurus")
