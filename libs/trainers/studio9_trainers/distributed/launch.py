"""Starts a task on several processes through torchrun."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def command(program: Sequence[str], processes: int) -> list[str]:
    """torchrun for a program (a script and its arguments, or `-m`, a module and its arguments) on this machine."""
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=0",
        f"--nproc-per-node={processes}", *program,
    ]  # fmt: skip


def run_distributed(folder: Path, processes: int) -> int:
    """Run a task's folder on so many processes, each with one thread; 0, or 1 where one of them failed."""
    return subprocess.run(
        command(["-m", "studio9_trainers.distributed.process", str(folder)], processes), check=False
    ).returncode
