"""`python -m studio9_aries`: Aries in a process of its own, from its settings."""

from studio9_common.loading import loading

with loading():
    from studio9_aries.app import build
    from studio9_aries.settings import AriesSettings
    from studio9_common.documents.connect import open_documents
    from studio9_common.logs import configure_logs
    from studio9_common.service import run, run_service
    from studio9_common.tokens import TokenKeys
    from studio9_common.tracing_otlp import open_tracer


async def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    settings = AriesSettings.of_process()
    configure_logs(settings.log_level, settings.log_format)
    documents = await open_documents(settings.documents, prefix=settings.prefix, timeout_s=settings.documents_timeout_s)
    try:
        keys = TokenKeys(settings.token_keys.get_secret_value())
        async with open_tracer(settings.otlp_url, "aries", settings.installation) as tracer:
            aries = build(settings, documents=documents, keys=keys, tracer=tracer)
            await run_service(aries, settings.host, settings.port)
    finally:
        await documents.close()


if __name__ == "__main__":
    run(main(), "aries")
