"""`python -m studio9_trainers.distributed.process FOLDER`, under torchrun: one of the processes of a task.

The first has the task's folder for its own. The others work beside it on the same inputs; what they write is scratch.
"""

import shutil
import sys
from pathlib import Path

from studio9_task.layout import TaskFolder
from studio9_trainers.distributed.group import joined
from studio9_trainers.distributed.settings import Rank
from studio9_trainers.task import run_task


def main(folder: Path) -> int:
    """Run the task; its exit code."""
    rank = Rank.from_environment()
    task = TaskFolder(folder.resolve())
    with joined(rank):
        return run_task(task if rank.rank == 0 else _beside(task, rank.rank), rank.rank, rank.world)


def _beside(task: TaskFolder, rank: int) -> TaskFolder:
    own = TaskFolder(task.scratch / f"process-{rank}")
    shutil.rmtree(own.root, ignore_errors=True)
    own.root.mkdir(parents=True)
    own.inputs.symlink_to(task.inputs)
    shutil.copyfile(task.request, own.request)
    return own


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
