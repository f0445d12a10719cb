"""Say what this machine has: Python, environments, cores, memory, disk, and which real servers can be had, and how."""

import argparse
import os
import platform
import shutil
import subprocess

from studio9_cli import project
from studio9_cli.servers.fleet import servers
from studio9_cli.servers.server import Missing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(args: argparse.Namespace) -> int:
    """Always 0: it reports, it does not judge."""
    for title, lines in (("machine", machine()), ("environments", environments()), ("real servers", available())):
        print(title)
        for name, text in lines.items():
            print(f"  {name:<14} {text}")
    return 0


def machine() -> dict[str, str]:
    """Facts about this machine."""
    free = shutil.disk_usage(project.root()).free
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_version()} (needs 3.11 or newer)",
        "cores": f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}",
        "memory": f"{memory_bytes() / 2**30:.1f} GiB",
        "disk": f"{free / 2**30:.1f} GiB free (the trainers' environment takes about 6)",
        "containers": container_engine(),
        "commit": project.commit(),
    }


def environments() -> dict[str, str]:
    """Whether the two environments are there."""
    made = {name: project.environment_python(name).exists() for name in ("platform", "trainers")}
    return {name: "made" if there else "not made yet (./studio9 setup makes it)" for name, there in made.items()}


def available() -> dict[str, str]:
    """How each real server can be had here."""
    found = {}
    for server in servers():
        offer = server.find()
        if os.environ.get(server.variables[0]):
            found[server.name] = f"{server.variables[0]} is set"
        elif isinstance(offer, Missing):
            found[server.name] = f"no: {offer.reason}"
        else:
            first = f"; the first time: {offer.first_time}" if offer.first_time else ""
            found[server.name] = f"{server.describe()}, {offer.origin}{first}"
    return found


def container_engine() -> str:
    """Whether a container engine answers."""
    if shutil.which("docker") is None:
        return "no docker client"
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return "the engine does not answer"
    return f"engine {done.stdout.strip()}" if done.returncode == 0 else "docker client, but no engine runs"


def memory_bytes() -> int:
    """Physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
