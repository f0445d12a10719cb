"""`python -m studio9_trainers.distributed.process FOLDER`, under torchrun: one of the processes of a task.

The first has the task's folder for its own. The others work beside it on the same inputs; what they write is scratch.
"""

import json
import shutil
import sys
import traceback
from pathlib import Path

from studio9_task.layout import TaskFolder
from studio9_trainers.distributed.failures import (
    FAILED,
    Failure,
    begin,
    beside,
    first_failure,
    read_exit,
    tell,
    write_exit,
)
from studio9_trainers.distributed.group import joined
from studio9_trainers.distributed.settings import Rank
from studio9_trainers.errors import TaskError
from studio9_trainers.task import run_task

CHECKPOINT = "checkpoint.pt"


def main(folder: Path, rank: Rank, meeting: str = "env://") -> int:
    """Run the task; its exit code. `meeting`: see joined. What fails before or after the task is
    told as well."""
    task = TaskFolder(folder.resolve())
    own = beside(task, rank.rank)
    begin(own)
    try:
        if rank.rank != 0:
            _stage(task, own)
        with joined(rank, meeting):
            code = run_task(own if rank.rank != 0 else task, rank.rank, rank.world)
            write_exit(own, code)  # before the others lose touch
        return code
    except Exception as error:
        traceback.print_exc()
        if (ended := read_exit(own)) is not None:
            return ended
        failure = first_failure(task, rank.world) if rank.rank == 0 and rank.world > 1 else None
        if failure is None:
            said = str(error) if isinstance(error, TaskError) else f"{type(error).__name__}: {error}"
            failure = Failure("system", error.code if isinstance(error, TaskError) else FAILED, said)
        tell(own if rank.rank != 0 else task, failure)
        write_exit(own, failure.exit_code)
        return failure.exit_code


def _stage(task: TaskFolder, own: TaskFolder) -> None:
    own.inputs.symlink_to(task.inputs)
    request = json.loads(task.request.read_bytes())
    if (resume := request.get("resume")) is not None:
        # A task takes no checkpoint from outside of its folder, where the link leads.
        shutil.copyfile(task.root / resume["checkpoint"], own.root / CHECKPOINT)
        resume["checkpoint"] = CHECKPOINT
    own.request.write_text(json.dumps(request))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Rank.from_environment()))
