"""A small platform with containers in one process, to be killed: bus, objects and worker, with one job sent to it."""

import asyncio
import sys
from pathlib import Path

from harness import Platform

from studio9_worker.runners.engine import Engine


async def main(folder: Path, url: str, image: str, job: str) -> None:
    """Until it is killed."""
    platform = Platform(folder, Engine(url), image)
    await platform.open()
    await platform.start_worker()
    await platform.send(platform.order(job, "wait"))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
