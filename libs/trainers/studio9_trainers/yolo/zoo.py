"""Which YOLO models there are: every version, size and task for which the installed package has a model file.

Looked up on the disk, so neither torch nor the package is imported.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from studio9_trainers.capabilities import Task

SUFFIXES: dict[str, Task] = {"": "detect", "-cls": "classify", "-seg": "segment", "-pose": "pose", "-obb": "obb"}
SIZES = {
    "t": "tiny", "n": "nano", "s": "small", "m": "medium", "b": "balanced", "c": "compact", "l": "large",
    "e": "extended", "x": "extra large",
}  # fmt: skip
VERSIONS = (5, *range(8, 100))
"""The fifth is the package's later form of it (v5u); those before the eighth have no other task."""

NAME = re.compile(r"yolo(?P<v>v?)(?P<version>\d+)(?P<size>[a-z]?)(?P<suffix>-cls|-seg|-pose|-obb|)\.yaml")
SCALES = re.compile(r"^scales:.*?\n((?:[ \t]+.*\n|#.*\n)+)", re.MULTILINE)
SCALE = re.compile(r"^[ \t]+([a-z]): *\[", re.MULTILINE)


@cache
def model_files() -> Mapping[str, Mapping[Task, str]]:
    """Architecture id (as YOLO11N): task: name of its model file. Empty where the package is not installed."""
    spec = find_spec("ultralytics")
    folder = Path(spec.origin).parent / "cfg" / "models" if spec is not None and spec.origin else None
    found: dict[str, dict[Task, str]] = {}
    for path in sorted(folder.rglob("yolo*.yaml")) if folder is not None else []:
        parts = NAME.fullmatch(path.name)
        if parts is None or int(parts["version"]) not in VERSIONS:
            continue
        for size in parts["size"] or _sizes(path):
            name = f"yolo{parts['v']}{parts['version']}{size}{parts['suffix']}.yaml"
            found.setdefault(f"YOLO{parts['version']}{size.upper()}", {})[SUFFIXES[parts["suffix"]]] = name
    return {key: found[key] for key in sorted(found, key=_order)}


def shown(architecture: str) -> str:
    """What people read, as `YOLO11 nano`."""
    return f"{architecture[:-1]} {SIZES.get(architecture[-1].lower(), architecture[-1])}"


def fitting(task: Task) -> tuple[str, ...]:
    """The architectures that have a model file for a task."""
    return tuple(key for key, tasks in model_files().items() if task in tasks)


def _sizes(path: Path) -> str:
    block = SCALES.search(path.read_text(encoding="utf-8"))
    return "".join(SCALE.findall(block[1])) if block else ""


def _order(architecture: str) -> tuple[int, int]:
    return int(architecture[4:-1]), list(SIZES).index(architecture[-1].lower())
