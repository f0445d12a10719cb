"""`python -m studio9_argo`: Argo in a process of its own, from its settings."""

from studio9_common.loading import loading

with loading():
    from studio9_argo.app import build
    from studio9_argo.settings import ArgoSettings
    from studio9_common.bus import open_bus
    from studio9_common.documents.connect import open_documents
    from studio9_common.logs import configure_logs
    from studio9_common.service import run, run_service
    from studio9_common.tokens import TokenKeys
    from studio9_common.tracing_otlp import open_tracer


async def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    settings = ArgoSettings.of_process()
    configure_logs(settings.log_level, settings.log_format)
    keys = TokenKeys(settings.token_keys.get_secret_value())
    documents = await open_documents(settings.documents, prefix=settings.prefix, timeout_s=settings.documents_timeout_s)
    bus = await open_bus(settings.bus_url, name=settings.service)
    try:
        async with open_tracer(settings.otlp_url, "argo", settings.installation) as tracer:
            argo = build(settings, documents=documents, bus=bus, keys=keys, tracer=tracer)
            await run_service(argo, settings.host, settings.port)
    finally:
        await bus.close()
        await documents.close()


if __name__ == "__main__":
    run(main(), "argo")
