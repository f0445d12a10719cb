"""`studio9-task FOLDER`: do what `request.json` says, from staged inputs to announced outputs.

Exit codes: 0 done, 64 the user's to mend, 70 ours, 75 told to stop (a later attempt goes on from the last
checkpoint). The last event is a result, or an error unless it was told to stop.
"""

import argparse
import errno
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from studio9_task.children import ARTIFACT, Asked
from studio9_task.errors import TaskContractError
from studio9_task.exits import EXIT_OK, EXIT_STOPPED, EXIT_SYSTEM, EXIT_USER
from studio9_task.layout import TaskFolder
from studio9_task.outputs import write_bytes
from studio9_task.report import EventWriter
from studio9_task.request import TaskRequest, read_request
from studio9_task.results import AnyResult, summary
from studio9_trainers.distributed.failures import PATIENCE_S, first_failure, was_stopped
from studio9_trainers.errors import LostTouch, Stopped, TaskError, Unsupported, UserError
from studio9_trainers.frameworks import catalogue, frameworks, kinds
from studio9_trainers.run import Run

KINDS = (
    "train", "evaluate", "predict", "export", "augment", "analyse", "frames", "video", "tile", "tune", "trial",
)  # fmt: skip
"""Each is a module of `kinds`, with a function of its name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="studio9-task", description="Run one task in its folder.")
    parser.add_argument("folder", nargs="?", type=Path, help="the task's folder, with request.json and inputs/")
    parser.add_argument("--catalogue", action="store_true", help="print what can be done here, as JSON")
    options = parser.parse_args(arguments)
    if options.catalogue:
        print(catalogue().printed())
        return EXIT_OK
    if options.folder is None:
        parser.error("give the task's folder, or --catalogue")
    return run_task(TaskFolder(options.folder.resolve()))


def run_task(folder: TaskFolder, rank: int = 0, world: int = 1, *, own_machine: bool = False) -> int:
    """Run the task of a folder, as one of so many processes; its exit code. `own_machine`: see Run."""
    for made in (folder.outputs, folder.scratch):
        made.mkdir(parents=True, exist_ok=True)
    with EventWriter(folder.events, folder.outputs) as events:
        run = Run(folder, events, rank=rank, world=world, own_machine=own_machine)
        run.stop.listen()
        try:
            _do(run)
        except (Stopped, LostTouch) as error:
            return _broken_off(run, error)
        except (UserError, TaskContractError) as error:
            events.failed("user", getattr(error, "code", "bad_request"), str(error))
            return EXIT_USER
        except MemoryError:
            events.failed("system", "out_of_memory", "The task needs more memory than it may use.")
            return EXIT_SYSTEM
        except TaskError as error:
            events.failed("system", error.code, str(error))
            return EXIT_SYSTEM
        except Exception as error:
            traceback.print_exc()
            if (code := _failed_beside(run, PATIENCE_S)) is not None:  # a library's own talk with the others broke off
                return code
            events.failed("system", *_unforeseen(error))
            return EXIT_SYSTEM
    return EXIT_OK


def _broken_off(run: Run, error: Stopped | LostTouch) -> int:
    """The exit code of a process that ends through no fault of its own."""
    stopped = isinstance(error, Stopped)
    # Where one fails, torchrun tells the others to stop: this may be no more than that.
    if (code := _failed_beside(run, 0 if stopped else PATIENCE_S)) is not None:
        return code
    if stopped or was_stopped(run.folder, run.world):
        run.events.log("Told to stop; the last checkpoint is where a later attempt goes on.")
        return EXIT_STOPPED
    run.events.failed("system", LostTouch.code, str(error))
    return EXIT_SYSTEM


def _unforeseen(error: Exception) -> tuple[str, str]:
    """(code, message) of a failure that nobody has given words."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full", "The machine has no room left for the task's files; its last checkpoint is whole."
    return "system_error", f"{type(error).__name__}: {error}"


def _failed_beside(run: Run, patience_s: float) -> int | None:
    """The exit code for what the first of the other processes failed of, told by the leading one."""
    if not run.leads or run.world == 1:
        return None
    first = first_failure(run.folder, run.world, patience_s)
    if first is None:
        return None
    run.events.failed(first.class_, first.code, first.message)
    return first.exit_code


def _do(run: Run) -> None:
    request = read_request(run.folder.request)
    run.seed, run.threads = request.seed, request.threads
    if request.resume is not None:
        run.checkpoint = _inside(run.folder, request.resume.checkpoint)
    result = _kind(request)(run, request)
    if isinstance(result, Asked):
        written = write_bytes(run.folder.outputs / "children.json", result.model_dump_json().encode())
        run.events.artifact(ARTIFACT, written, "application/json")
        run.events.result({"kind": request.kind, "children": [one.name for one in result.children]})
        return
    written = write_bytes(run.folder.outputs / "result.json", result.model_dump_json(exclude_none=True).encode())
    run.events.artifact("result", written, "application/json")
    run.events.progress(1.0, remaining_s=0)
    run.events.result(summary(result))


def _kind(request: TaskRequest) -> Callable[[Run, TaskRequest], AnyResult | Asked]:
    if request.kind not in KINDS:
        raise Unsupported(f"kind = {request.kind!r}: here it is one of {', '.join(KINDS)}.")
    if (framework := frameworks().get(request.framework)) is not None:
        runs = [one.kind for one in kinds(framework.name, framework.capabilities())]
        if request.kind not in runs:
            raise Unsupported(f"kind = {request.kind!r}: {framework.name} can {', '.join(runs) or 'nothing'} here.")
    # Imported here, and this one alone: each pulls in libraries that take seconds, or would call home.
    module = import_module(f"studio9_trainers.kinds.{request.kind}")
    return getattr(module, request.kind)


def _inside(folder: TaskFolder, name: str) -> Path:
    path = (folder.root / name).resolve()
    if not path.is_relative_to(folder.root) or not path.is_file():
        raise UserError(f"resume.checkpoint = {name!r}: there is no such file in the task's folder.", "bad_request")
    return path


if __name__ == "__main__":
    sys.exit(main())
