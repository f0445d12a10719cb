"""Which providers are installed."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from studio9_orion.providers.port import Provider, ProviderUnknown
from studio9_orion.providers.workers import WorkersProvider

GROUP = "studio9.providers"


def provider_classes() -> Mapping[str, Callable[..., Provider]]:
    """By name: our own workers, and those of installed packages."""
    found: dict[str, Callable[..., Provider]] = {WorkersProvider.name: WorkersProvider}
    for point in entry_points(group=GROUP):
        if point.name not in found:
            made: Any = point.load()
            found[point.name] = made
    return found


def chosen(providers: Mapping[str, Provider], name: str) -> Provider:
    """Raises ProviderUnknown."""
    try:
        return providers[name]
    except KeyError:
        raise ProviderUnknown(f"no provider is called {name}", field="provider", value=name) from None
