"""A task's container, in the Docker Engine API's own terms: everything that holds the task is decided here. Pure.

No network, no capabilities, no new privileges, a user that is not root, a read-only root; limits on memory,
processes, processor, file size and shared memory. Of the machine it sees its own folder (read-only but for outputs,
scratch, events and log) and what its program is made of. HOME, caches and /tmp are in memory, within its limit.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio9_task.environment import task_environment
from studio9_task.launch import shim_options
from studio9_task.layout import TaskFolder
from studio9_task.shim_task import Limits
from studio9_worker.runners.engine import Image
from studio9_worker.runners.port import Launch
from studio9_worker.runners.threads import thread_variables

JOB = TaskFolder(Path("/job"))
"""The task's folder as the task sees it."""
MIB, GIB = 1 << 20, 1 << 30
CORE = 1_000_000_000
"""A core, in the engine's unit."""
SPARE = CORE // 5
"""Beyond a task's threads, for the shim and what libraries do beside: a cap without it would hold up the threads."""


@dataclass(frozen=True, slots=True)
class Program:
    """What runs in a container: how its Python is called, the task's command, and what of this machine it needs
    (read-only, path here → path there). The defaults are those of an image that has everything in it."""

    python: str = "python3"
    command: tuple[str, ...] = ("studio9-task",)
    mounts: Mapping[Path, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Room:
    """How much one container may use, where its launch does not say. Bytes; `user` is (uid, gid), never root; `cores`
    are the machine's."""

    user: tuple[int, int]
    memory_bytes: int
    processes: int = 512
    shm_bytes: int = GIB
    tmp_bytes: int = GIB
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)


def container_body(
    launch: Launch, image: Image, program: Program, room: Room, labels: Mapping[str, str]
) -> dict[str, Any]:
    """The body of the Engine API's `POST /containers/create` for a task."""
    shim = [program.python, "-P", "-m", "studio9_task.contained", *shim_options(_limits(launch)), str(JOB.root), "--"]
    body = _sealed(image, room, [*shim, *program.command, str(JOB.root)], environment(launch, program), labels)
    host = body["HostConfig"]
    if launch.memory_bytes is not None:
        host |= {"Memory": launch.memory_bytes, "MemorySwap": launch.memory_bytes}
    if launch.file_bytes is not None:
        host["Ulimits"] += [_ulimit("fsize", launch.file_bytes)]
    host["NanoCpus"] = min(launch.threads * CORE + SPARE, room.cores * CORE)
    host["Mounts"] = _job_mounts(launch.folder) + _mounts(program)
    host["DeviceRequests"] = _gpus(launch.gpus)
    return body | {"WorkingDir": str(JOB.root)}


def question_body(
    image: Image, program: Program, room: Room, arguments: Sequence[str], labels: Mapping[str, str]
) -> dict[str, Any]:
    """The same for a program that is asked something and answers on its standard output."""
    body = _sealed(image, room, [*program.command, *arguments], {"HOME": "/tmp", **program.environment}, labels)
    body["HostConfig"]["Mounts"] = _mounts(program)
    return body


def _sealed(
    image: Image, room: Room, command: list[str], variables: Mapping[str, str], labels: Mapping[str, str]
) -> dict[str, Any]:
    """What holds every container."""
    return {
        "Image": image.id,
        "Entrypoint": command[:1],
        "Cmd": command[1:],
        "User": "{}:{}".format(*room.user),
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "Labels": dict(labels),
        "NetworkDisabled": True,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "none",
            "IpcMode": "private",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Memory": room.memory_bytes,
            "MemorySwap": room.memory_bytes,
            "PidsLimit": room.processes,
            "NanoCpus": CORE,
            "CpuShares": 512,
            "OomScoreAdj": 500,
            "ShmSize": room.shm_bytes,
            "Ulimits": [_ulimit("core", 0)],
            "Tmpfs": _tmpfs(room, image),
            # Of the first process alone; a task's own output goes to its folder.
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
            "RestartPolicy": {"Name": "no"},
        },
    }


def environment(launch: Launch, program: Program) -> dict[str, str]:
    """The whole environment that the runner gives; an image's own PATH stays unless the program has one."""
    given = task_environment(JOB, launch.threads, Path("/usr/bin"))
    del given["PATH"]
    given |= thread_variables(launch.threads)
    given |= {"HOME": "/tmp", "TMPDIR": "/tmp", "XDG_CACHE_HOME": "/tmp/cache", "XDG_CONFIG_HOME": "/tmp/config"}
    # A user without an entry in the image's table has no name, and some libraries insist on one.
    given |= {"USER": "studio9", "LOGNAME": "studio9"}
    if not launch.gpus:
        given |= {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"}
    return given | dict(program.environment)


def _limits(launch: Launch) -> Limits:
    """What the shim watches itself; memory and processes are the engine's."""
    return Limits(
        time_limit_s=launch.time_limit_s,
        disconnect_grace_s=launch.disconnect_grace_s,
        stop_grace_s=launch.stop_grace_s,
        file_bytes=launch.file_bytes,
        log_bytes=launch.log_bytes,
        flood_bytes=launch.flood_bytes,
        nice=launch.nice,
    )


def _ulimit(name: str, limit: int) -> dict[str, Any]:
    return {"Name": name, "Soft": limit, "Hard": limit}


def _tmpfs(room: Room, image: Image) -> dict[str, str]:
    """/tmp; and the image's volumes, which would otherwise be folders on the machine's disk without a limit."""
    options = "rw,nosuid,nodev,mode=1777,size="
    return {"/tmp": f"{options}{room.tmp_bytes}"} | dict.fromkeys(image.volumes, f"{options}{MIB}")


def _job_mounts(folder: TaskFolder) -> list[dict[str, Any]]:
    writable = (folder.outputs, folder.scratch, folder.events, folder.log)
    job = [_mount(folder.root, str(JOB.root), read_only=True)]
    return job + [_mount(path, str(JOB.root / path.relative_to(folder.root)), read_only=False) for path in writable]


def _mounts(program: Program) -> list[dict[str, Any]]:
    return [_mount(here, there, read_only=True) for here, there in program.mounts.items()]


def _mount(source: Path, target: str, *, read_only: bool) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": str(source),
        "Target": target,
        "ReadOnly": read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _gpus(devices: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"Driver": "nvidia", "DeviceIDs": list(devices), "Capabilities": [["gpu"]]}] if devices else []
