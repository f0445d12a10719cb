"""What a task ran on and with."""

import resource
from importlib.metadata import PackageNotFoundError, version

from studio9_task.results import Ran

LIBRARIES = (
    "studio9-trainers",
    "studio9-task",
    "torch",
    "torchvision",
    "ultralytics",
    "numpy",
    "pillow",
    "faster-coco-eval",
)


def ran(threads: int, device: str) -> Ran:
    """Versions, device, threads, and the most memory that this process has held so far."""
    return Ran(
        libraries={name: found for name in LIBRARIES if (found := _version(name)) is not None},
        device=device,
        threads=threads,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
