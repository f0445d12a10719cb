"""What a task ran on and with."""

import platform
import resource
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from studio9_task.results import Ran

LIBRARIES = (
    "studio9-trainers",
    "studio9-task",
    "torch",
    "torchvision",
    "ultralytics",
    "timm",
    "transformers",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "faster-coco-eval",
)


def device() -> str:
    """The accelerator that this process has chosen, by default the first; else the CPU."""
    import torch

    return f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cpu"


def ran(threads: int, device: str) -> Ran:
    """Versions, processor, accelerator, threads, and the most memory that this process has held so far."""
    return Ran(
        libraries={name: found for name in LIBRARIES if (found := _version(name)) is not None},
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        cpu=_cpu(),
        device=device,
        threads=threads,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **_accelerator(device),
    )


def _accelerator(device: str) -> dict[str, str]:
    if not device.startswith("cuda"):
        return {}
    import torch

    facts = {"gpu": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda)}
    driver = Path("/proc/driver/nvidia/version")
    if driver.is_file():
        facts["driver"] = driver.read_text(encoding="utf-8").splitlines()[0][:200]
    return facts


@cache
def _cpu() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
