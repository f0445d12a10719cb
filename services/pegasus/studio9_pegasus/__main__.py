"""`python -m studio9_pegasus`: Pegasus in a process of its own, from its settings."""

from studio9_common.loading import loading

with loading():
    from studio9_common.bus import open_bus
    from studio9_common.clients.argo import ArgoClient
    from studio9_common.logs import configure_logs
    from studio9_common.service import run, run_service
    from studio9_common.tokens import TokenKeys
    from studio9_common.tracing_otlp import open_tracer
    from studio9_pegasus.app import build
    from studio9_pegasus.settings import PegasusSettings


async def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    settings = PegasusSettings.of_process()
    configure_logs(settings.log_level, settings.log_format)
    keys = TokenKeys(settings.token_keys.get_secret_value())
    objects = settings.open_objects()
    warehouse = settings.open_warehouse(objects)
    bus = await open_bus(settings.bus_url, name=settings.service)
    argo = ArgoClient(settings.argo_url, service=settings.service, keys=keys)
    try:
        async with open_tracer(settings.otlp_url, "pegasus", settings.installation) as tracer:
            pegasus = build(
                settings, bus=bus, objects=objects, warehouse=warehouse, argo=argo, keys=keys, tracer=tracer
            )
            await run_service(pegasus, settings.host, settings.port)
    finally:
        await argo.close()
        await bus.close()
        await warehouse.close()
        await objects.close()


if __name__ == "__main__":
    run(main(), "pegasus")
