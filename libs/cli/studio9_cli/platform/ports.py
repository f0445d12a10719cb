"""The embedded ports of one platform: opened on its state folder, closed together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from studio9_common.bus import open_bus
from studio9_common.bus.port import Bus
from studio9_common.documents.connect import open_documents
from studio9_common.documents.port import Documents
from studio9_common.objects.local import LocalObjects
from studio9_common.streams.embedded import EmbeddedStreams


@dataclass(frozen=True, slots=True)
class Ports:
    """Aries and Argo have a document store each, as in production; the rest is shared."""

    bus: Bus
    aries: Documents
    argo: Documents
    objects: LocalObjects
    streams: EmbeddedStreams


@asynccontextmanager
async def open_ports(state: Path, *, public_url: str) -> AsyncIterator[Ports]:
    """`public_url` is Baile's address, under which signed URLs of objects are served."""
    async with AsyncExitStack() as stack:
        bus = await open_bus(f"sqlite:///{state / 'bus.sqlite'}", name="studio9")
        stack.push_async_callback(bus.close)
        aries = await open_documents(f"sqlite:///{state / 'aries.sqlite'}", prefix="studio9-aries")
        stack.push_async_callback(aries.close)
        argo = await open_documents(f"sqlite:///{state / 'argo.sqlite'}", prefix="studio9-argo")
        stack.push_async_callback(argo.close)
        objects = LocalObjects(state / "objects", base_url=f"{public_url}/objects")
        stack.push_async_callback(objects.close)
        streams = EmbeddedStreams(state / "streams.sqlite")
        stack.push_async_callback(streams.close)
        yield Ports(bus, aries, argo, objects, streams)
