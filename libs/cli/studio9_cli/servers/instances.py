"""Services as processes of this machine: what an instance is, and whether it says that it is ready."""

import json
import urllib.request


def service_of(instance: str) -> str:
    """The service of `orion-2`."""
    return instance.partition("-")[0]


def is_ready(address: str) -> bool:
    """Whether the service at an address says that it and what it depends on are ready."""
    try:
        with urllib.request.urlopen(f"{address}/ready", timeout=3) as answer:
            return bool(json.load(answer)["status"] == "ready")
    except OSError:
        return False
