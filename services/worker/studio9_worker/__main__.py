"""`python -m studio9_worker`: one worker, its settings from the environment."""

import asyncio
from contextlib import AsyncExitStack

from studio9_common.bus.connect import open_bus
from studio9_common.clients.argo import ArgoClient
from studio9_common.logs import configure_logs
from studio9_common.service import run_service
from studio9_common.tokens import TokenKeys
from studio9_worker.app import build
from studio9_worker.settings import WorkerSettings


async def main() -> None:
    """Opens the ports that the settings name, runs until SIGTERM or SIGINT."""
    settings = WorkerSettings.of_process()
    configure_logs(settings.log_level, settings.log_format)
    async with AsyncExitStack() as stack:
        bus = await open_bus(settings.bus_url, name="worker")
        stack.push_async_callback(bus.close)
        objects = settings.open_objects()
        stack.push_async_callback(objects.close)
        argo: ArgoClient | None = None
        keys = settings.token_keys.get_secret_value()
        if settings.argo_url and keys:
            argo = ArgoClient(settings.argo_url, service=settings.service, keys=TokenKeys(keys))
            stack.push_async_callback(argo.close)
        await run_service(build(settings, bus=bus, objects=objects, argo=argo), settings.host, settings.port)


if __name__ == "__main__":
    asyncio.run(main())
