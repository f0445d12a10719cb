"""`python -m studio9_baile`: Baile in a process of its own, from its settings.

`python -m studio9_baile bootstrap-token` prints a one-time token for the first user instead.
"""

import sys

from studio9_common.loading import loading

with loading():
    from studio9_baile.app import build
    from studio9_baile.settings import BaileSettings
    from studio9_common.bus.connect import open_bus
    from studio9_common.clients.argo import ArgoClient
    from studio9_common.clients.aries import AriesClient
    from studio9_common.logs import configure_logs
    from studio9_common.service import run, run_service
    from studio9_common.tokens import TokenKeys
    from studio9_common.tracing_otlp import open_tracer


async def main(print_token: bool) -> None:
    """Runs until SIGTERM or SIGINT."""
    settings = BaileSettings.of_process()
    configure_logs(settings.log_level, settings.log_format)
    keys = TokenKeys(settings.token_keys.get_secret_value())
    objects = settings.open_objects()
    bus = await open_bus(settings.bus_url, name="baile")
    aries = AriesClient(settings.aries_url, service="baile", keys=keys)
    argo = ArgoClient(settings.argo_url, service="baile", keys=keys)
    try:
        async with open_tracer(settings.otlp_url, "baile", settings.installation) as tracer:
            baile = build(settings, bus=bus, objects=objects, aries=aries, argo=argo, tracer=tracer)
            if print_token:
                await baile.core.database.migrate()
                print(await baile.create_bootstrap_token())
            else:
                await run_service(baile, settings.host, settings.port, metrics_port=settings.metrics_port)
    finally:
        for one in (argo, aries, bus, objects):
            await one.close()


if __name__ == "__main__":
    run(main("bootstrap-token" in sys.argv[1:]), "baile")
