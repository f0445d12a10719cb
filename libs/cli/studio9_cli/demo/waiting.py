"""Waiting for what the platform does: a process with its progress, an asset's status, a condition."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from studio9_cli.demo.api import Api, ApiError
from studio9_cli.demo.show import Show


class JourneyFailed(Exception):
    """The platform did not do what the journey needs; the message says where it stopped."""


async def until(what: str, check: Callable[[], Awaitable[Any]], *, timeout_s: float, every_s: float = 0.3) -> Any:
    """The first true answer of `check`. Raises JourneyFailed after `timeout_s` seconds."""
    end = time.monotonic() + timeout_s
    while True:
        answer = await check()
        if answer:
            return answer
        if time.monotonic() > end:
            raise JourneyFailed(f"waited {timeout_s:.0f} s for {what}")
        await asyncio.sleep(every_s)


async def process(api: Api, show: Show, kind: str, identifier: str, *, timeout_s: float) -> dict[str, Any]:
    """Follows the newest process of an asset to its end, and returns it. Raises JourneyFailed if it fails."""

    async def find() -> dict[str, Any] | None:
        try:
            return dict(await api.get(f"/v2.0/{kind}/{identifier}/process"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    found = await until(f"the process of {kind}/{identifier}", find, timeout_s=30)
    end = time.monotonic() + timeout_s
    while found["status"] in ("QUEUED", "RUNNING"):
        left = found.get("estimate")
        text = found["status"].lower() + (f", about {left} s left" if left is not None else "")
        show.bar(float(found["progress"]), text)
        if time.monotonic() > end:
            raise JourneyFailed(f"{kind}/{identifier} is {found['status']} after {timeout_s:.0f} s")
        await asyncio.sleep(0.5)
        found = await api.get(f"/v2.0/processes/{found['id']}")
    if found["status"] != "COMPLETED":
        raise JourneyFailed(f"{kind}/{identifier} ended {found['status']}: {found.get('cause', 'no cause given')}")
    show.bar(1.0, "completed")
    show.end()
    return dict(found)


async def status(api: Api, kind: str, identifier: str, wanted: str, *, timeout_s: float = 60) -> dict[str, Any]:
    """Waits until an asset has the wanted status. Raises JourneyFailed on ERROR."""

    async def look() -> dict[str, Any] | None:
        asset: dict[str, Any] = await api.get(f"/v2.0/{kind}/{identifier}")
        if asset["status"] in ("ERROR", "CANCELLED"):
            raise JourneyFailed(f"{kind}/{identifier} is {asset['status']}")
        return asset if asset["status"] == wanted else None

    return dict(await until(f"{kind}/{identifier} to be {wanted}", look, timeout_s=timeout_s))
