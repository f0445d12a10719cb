"""`python -m studio9_worker`: one worker, its settings from the environment.

A machine that has joined (its state folder holds an identity), or that was given a join token, is told by Orion where
things are and who it is; others take all of it from their settings.
"""

import asyncio
from contextlib import AsyncExitStack

from studio9_common.loading import loading

with loading():
    from studio9_common.bus.connect import open_bus
    from studio9_common.clients.argo import ArgoClient
    from studio9_common.logs import configure_logs, logger
    from studio9_common.service import run, run_service
    from studio9_common.tokens import TokenKeys, TokenSource
    from studio9_common.tracing_otlp import open_tracer
    from studio9_worker.app import build
    from studio9_worker.joining.identity import load
    from studio9_worker.joining.membership import join, membership, settings_of
    from studio9_worker.settings import WorkerSettings


async def main() -> None:
    """Opens the ports that the settings name, runs until SIGTERM or SIGINT."""
    settings = WorkerSettings.of_process()
    configure_logs(settings.log_level, settings.log_format)
    token = settings.join_token.get_secret_value()
    async with AsyncExitStack() as stack:
        member = bool(token) or await asyncio.to_thread(load, settings.state_dir) is not None
        tokens: TokenSource | None = None
        if member:
            identity = await join(settings.state_dir, url=settings.orion_url, token=token)
            settings = settings_of(identity, settings)
            logger("worker").info("member", worker=settings.worker_id, orion=identity.orion_url)
            tokens, objects = await stack.enter_async_context(membership(identity, settings))
        else:
            keys = settings.token_keys.get_secret_value()
            tokens = TokenKeys(keys) if keys else None
            objects = settings.open_objects()
            stack.push_async_callback(objects.close)
        bus = await open_bus(settings.bus_url, name="worker", topology="member" if member else "own")
        stack.push_async_callback(bus.close)
        argo: ArgoClient | None = None
        if settings.argo_url and tokens is not None:
            argo = ArgoClient(settings.argo_url, service=settings.service, keys=tokens)
            stack.push_async_callback(argo.close)
        tracer = await stack.enter_async_context(open_tracer(settings.otlp_url, "worker", settings.installation))
        service = build(settings, bus=bus, objects=objects, argo=argo, member=member, tracer=tracer)
        await run_service(service, settings.host, settings.port)


if __name__ == "__main__":
    run(main(), "worker")
