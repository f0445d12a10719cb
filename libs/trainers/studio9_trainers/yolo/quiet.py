"""Ultralytics, imported so that it asks no network for anything, installs nothing and writes to scratch alone.

Measured with a trace of its look-ups: it probes DNS at import, fetches fonts for plots, posts usage, and installs
missing packages unless told otherwise.
"""

import os
from pathlib import Path
from types import ModuleType

SILENCE = {
    "YOLO_OFFLINE": "true",  # no probe, no version check, no usage events
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",  # a checkpoint may carry code: never run it
}
CACHES = (
    "YOLO_CONFIG_DIR",
    "MPLCONFIGDIR",
    "XDG_CACHE_HOME",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
    "NUMBA_CACHE_DIR",
)
INTEGRATIONS = ("sync", "clearml", "comet", "dvc", "hub", "mlflow", "neptune", "raytune", "tensorboard", "wandb")


def ultralytics(scratch: Path, threads: int) -> ModuleType:
    """The package, made quiet, with torch on so many threads. Takes seconds the first time in a process."""
    os.environ.update(SILENCE)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # left unset, the package makes it 1
    for name in CACHES:
        if name not in os.environ:
            folder = scratch / "cache" / name.lower()
            folder.mkdir(parents=True, exist_ok=True)
            os.environ[name] = str(folder)
    import torch

    # Several processes share a training as Fit does it; the package, which knows of them, would do it its own way.
    world = os.environ.pop("WORLD_SIZE", None)
    try:
        import ultralytics as package
        from ultralytics.utils import SETTINGS
    finally:
        if world is not None:
            os.environ["WORLD_SIZE"] = world

    off = {name: False for name in INTEGRATIONS if SETTINGS.get(name)}
    if off:
        SETTINGS.update(off)
    torch.set_num_threads(threads)
    return package
