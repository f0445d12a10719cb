"""A whole small platform in one process, to be killed or stopped: bus, objects and worker, with one job sent to it."""

import asyncio
import json
import signal
import sys
from pathlib import Path

from studio9_common.bus.embedded import EmbeddedBus
from studio9_common.bus.port import Queue
from studio9_common.contracts.envelope import encode
from studio9_common.contracts.messages import WorkerRun
from studio9_common.objects.local import LocalObjects
from studio9_worker.app import build
from studio9_worker.settings import WorkerSettings


async def main(folder: Path, settings: str, run: str, queues: str) -> None:
    bus = await EmbeddedBus.open(folder / "bus.sqlite")
    objects = LocalObjects(folder / "objects", base_url="http://127.0.0.1/objects")
    await bus.declare(*(Queue(name, (key,)) for name, key in json.loads(queues)))
    service = build(WorkerSettings.model_validate_json(settings), bus=bus, objects=objects)
    await service.start()
    await bus.publish(encode(WorkerRun.model_validate_json(run), source="orion", organisation="acme"))
    told_to_stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_stop.set)
    await told_to_stop.wait()
    await service.stop()
    await bus.close()
    await objects.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
