"""A live container, limit by limit: as the engine describes it, and as the kernel holds it."""

import os
from pathlib import Path
from typing import Any

import pytest

from .harness import MIB, Platform


@pytest.fixture
async def live(platform: Platform) -> Any:
    """The engine's description of the container of a running task."""
    await platform.start_worker()
    job = await platform.run("wait")
    await platform.progress(job)
    found = platform.engine.inspect(platform.container(job))
    assert found is not None
    return found


async def test_what_the_engine_was_told(platform: Platform, live: Any) -> None:
    host, config = live["HostConfig"], live["Config"]
    assert (host["NetworkMode"], config["NetworkDisabled"]) == ("none", True)
    assert host["ReadonlyRootfs"] is True
    assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], None, False)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert config["User"] == "10001:10001"
    assert (host["Memory"], host["MemorySwap"]) == (256 * MIB, 256 * MIB)
    assert host["PidsLimit"] == 64
    assert host["NanoCpus"] == 1_200_000_000
    assert host["ShmSize"] == 8 * MIB
    assert {one["Name"]: one["Hard"] for one in host["Ulimits"]} == {"core": 0, "fsize": 32 * MIB}
    assert list(host["Tmpfs"]) == ["/tmp"]
    assert (host["PidMode"], host["UTSMode"], host["IpcMode"], host["UsernsMode"]) == ("", "", "private", "")
    assert host["RestartPolicy"]["Name"] == "no"
    assert not host["DeviceRequests"] and not host["Devices"]
    assert live["Image"] == platform.image
    assert config["Cmd"][:3] == ["-P", "-m", "studio9_task.contained"]
    assert "--time-limit=120.0" in config["Cmd"]
    labels = config["Labels"]
    assert labels.items() >= {"studio9.installation": platform.folder.name, "studio9.worker": "w1"}.items()
    assert labels["studio9.fence"] == "1"


async def test_what_is_mounted(platform: Platform, live: Any) -> None:
    mounts = {one["Destination"]: (Path(one["Source"]), one["RW"]) for one in live["Mounts"]}
    job = platform.task_folder(live["Config"]["Labels"]["studio9.job"])
    own = {there: here for there, here in mounts.items() if there.startswith("/job")}
    assert own == {
        "/job": (job.root, False),
        "/job/outputs": (job.outputs, True),
        "/job/scratch": (job.scratch, True),
        "/job/events.jsonl": (job.events, True),
        "/job/shim/task.log": (job.log, True),
    }
    others = {there: here for there, here in mounts.items() if there not in own}
    assert all(there.startswith("/opt/") for there in others)
    assert not any(writable for _, writable in others.values())


async def test_what_the_kernel_holds(live: Any) -> None:
    kernel = Process(live["State"]["Pid"])
    status = kernel.table("status", ":\t")
    assert status["Uid"].split() == ["10001"] * 4
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert kernel.table("limits", "  ")["Max file size"].split()[:2] == [str(32 * MIB)] * 2
    mounts = {one.split()[1]: set(one.split()[3].split(",")) for one in kernel.lines("mounts")}
    assert "ro" in mounts["/"]
    assert {"nosuid", "nodev", "size=16384k"} <= mounts["/tmp"]
    assert "size=8192k" in mounts["/dev/shm"]
    ours = Process(os.getpid())
    for place in ("net", "pid", "ipc", "uts", "mnt"):
        assert kernel.namespace(place) != ours.namespace(place)


class Process:
    """What the kernel tells of a process."""

    def __init__(self, number: int) -> None:
        self._folder = Path(f"/proc/{number}")

    def lines(self, name: str) -> list[str]:
        """The lines of one of its files."""
        return (self._folder / name).read_text().splitlines()

    def table(self, name: str, separator: str) -> dict[str, str]:
        """The same as what stands before and after the first separator."""
        cut = (line.partition(separator) for line in self.lines(name))
        return {key.strip(): value.strip() for key, _, value in cut}

    def namespace(self, kind: str) -> str:
        """Which one it is in."""
        return str((self._folder / "ns" / kind).readlink())
