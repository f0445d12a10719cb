"""`python -m studio9_orion`: Orion in a process of its own, from its settings."""

from studio9_common.loading import loading

with loading():
    from studio9_common.bus import open_bus
    from studio9_common.clients.argo import ArgoClient
    from studio9_common.clients.aries import AriesClient
    from studio9_common.logs import configure_logs
    from studio9_common.service import run, run_service
    from studio9_common.tokens import TokenKeys
    from studio9_common.tracing_otlp import open_tracer
    from studio9_orion.app import build
    from studio9_orion.settings import OrionSettings


async def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    settings = OrionSettings.of_process()
    configure_logs(settings.log_level, settings.log_format)
    keys = TokenKeys(settings.token_keys.get_secret_value())
    bus = await open_bus(settings.bus_url, name="orion")
    objects = settings.open_objects()
    aries = AriesClient(settings.aries_url, service="orion", keys=keys)
    argo = ArgoClient(settings.argo_url, service="orion", keys=keys, retry_s=1) if settings.argo_url else None
    try:
        async with open_tracer(settings.otlp_url, "orion", settings.installation) as tracer:
            orion = build(settings, bus=bus, store=aries, objects=objects, keys=keys, tracer=tracer, argo=argo)
            await run_service(orion, settings.host, settings.port)
    finally:
        if argo is not None:
            await argo.close()
        await aries.close()
        await objects.close()
        await bus.close()


if __name__ == "__main__":
    run(main(), "orion")
