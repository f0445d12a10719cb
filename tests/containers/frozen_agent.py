"""An agent with containers on a real broker, in a process of its own: to be frozen, and to wake up again."""

import asyncio
import sys
from pathlib import Path

from harness import hostile_runner, worker_settings

from studio9_common.bus import open_bus
from studio9_common.objects.local import LocalObjects
from studio9_worker.app import build
from studio9_worker.runners.engine import Engine


async def main(folder: Path, objects: Path, docker: str, image: str, broker: str) -> None:
    """Until it is killed; the worker is called as its folder."""
    bus = await open_bus(broker, name=folder.name)
    service = build(
        worker_settings(folder, worker_id=folder.name, lease_s=4.0),
        bus=bus,
        objects=LocalObjects(objects, base_url="http://127.0.0.1/objects"),
        runner=hostile_runner(Engine(docker), image, folder, None),
    )
    await service.start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
