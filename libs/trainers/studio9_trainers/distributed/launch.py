"""Starts a task on several processes through torchrun."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from studio9_task.exits import EXIT_OK
from studio9_task.layout import TaskFolder
from studio9_trainers.distributed.failures import beside, died, first_failure, read_exit, tell
from studio9_trainers.errors import TaskError


def command(program: Sequence[str], processes: int) -> list[str]:
    """torchrun for a program (a script and its arguments, or `-m`, a module and its arguments) on this machine."""
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts=0",
        f"--nproc-per-node={processes}", *program,
    ]  # fmt: skip


def run_distributed(folder: Path, processes: int) -> int:
    """Run a task's folder on so many processes, each with one thread; its exit code (see task). What the leading
    process can't tell any more, because it was killed, is told for it."""
    task = TaskFolder(folder.resolve())
    for rank in range(processes):
        shutil.rmtree(beside(task, rank).root, ignore_errors=True)
    program = ["-m", "studio9_trainers.distributed.process", str(task.root)]
    if subprocess.run(command(program, processes), check=False).returncode == 0:
        return EXIT_OK
    if (code := read_exit(beside(task, 0))) is not None:
        return code
    failure = first_failure(task, processes, patience_s=0)
    if failure is None or failure.code == TaskError.code:  # which may be how another one met the leading one's death
        failure = died(0, processes)
    tell(task, failure)
    return failure.exit_code
