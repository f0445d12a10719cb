"""Makes a task's folder from pictures of one's own, and runs the task in this process."""

import argparse
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio9_task.layout import CODE, MODEL, TaskFolder
from studio9_task.pictures import PictureRecord, write_manifest
from studio9_task.request import TaskRequest
from studio9_task.results import RESULT, TaskResult
from studio9_trainers.cli.showing import Progress
from studio9_trainers.data.collection import Sample
from studio9_trainers.distributed.launch import run_distributed
from studio9_trainers.errors import UserError
from studio9_trainers.files import ModelFile, read_model

NOT_CODE = shutil.ignore_patterns("__pycache__", ".*")
"""What lies in a folder of code and is none."""


@dataclass
class Job:
    """One task to be."""

    out: Path
    kind: str
    framework: str
    parameters: Mapping[str, Any]
    inputs: dict[str, Sequence[Sample]] = field(default_factory=dict)
    model: Path | None = None
    resume: Path | None = None
    seed: int = 0
    threads: int = 1
    processes: int = 1
    code: Path | None = None

    def run(self) -> tuple[int, TaskResult | None]:
        """(exit code, result where there is one). The folder `out` holds all that the platform's task would."""
        folder = self.staged()
        from studio9_trainers.task import run_task

        with Progress(folder.events):
            if self.processes == 1:
                code = run_task(folder, own_machine=self.code is not None)
            else:
                code = run_distributed(folder.root, self.processes)
        result = folder.outputs / "result.json"
        return code, RESULT.validate_json(result.read_bytes()) if code == 0 and result.is_file() else None

    def staged(self) -> TaskFolder:
        """The task's folder with its request and inputs. Raises UserError where an earlier run's result lies."""
        folder = TaskFolder(self.out.resolve())
        if (folder.outputs / "result.json").exists():
            raise UserError(f"{self.out} holds the result of an earlier run: give another folder as --out.")
        for old in (folder.inputs, folder.scratch):
            shutil.rmtree(old, ignore_errors=True)
        folder.events.unlink(missing_ok=True)
        folder.make()
        names = list(self.inputs)
        for name, samples in self.inputs.items():
            write_manifest(folder.manifest(name), self._linked(folder, samples))
        if self.model is not None:
            folder.model.parent.mkdir(parents=True)
            shutil.copyfile(self.model, folder.model)
            names.append(MODEL)
        if self.code is not None:
            if not self.code.is_dir():
                raise UserError(f"--code {self.code}: give the folder that holds your package.")
            shutil.copytree(self.code, folder.input(CODE), ignore=NOT_CODE)
            names.append(CODE)
        resume = None
        if self.resume is not None:
            kept = folder.input("checkpoint") / "state.pt"
            kept.parent.mkdir(parents=True)
            shutil.copyfile(self.resume, kept)
            resume = {"checkpoint": kept.relative_to(folder.root).as_posix()}
        request = TaskRequest.model_validate(
            {
                "job": "own",
                "kind": self.kind,
                "framework": self.framework,
                "parameters": self.parameters,
                "seed": self.seed,
                "threads": self.threads,
                "inputs": names,
                "resume": resume,
            }
        )
        folder.request.write_text(request.model_dump_json(indent=1))
        return folder

    def _linked(self, folder: TaskFolder, samples: Iterable[Sample]) -> Iterable[PictureRecord]:
        for one in samples:
            place = folder.picture(one.record.sha256)
            if not place.exists():
                try:
                    os.link(one.path.resolve(), place)
                except OSError:  # another disk
                    shutil.copyfile(one.path, place)
            yield one.record


def opened(path: Path) -> ModelFile:
    """A model file's facts. Raises BadModel."""
    return read_model(path)


def add_common(parser: argparse.ArgumentParser, out: str) -> None:
    """Options of every command that runs a task."""
    parser.add_argument("--out", type=Path, default=Path(out), help=f"folder for everything that is made ({out})")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same result")
    parser.add_argument("--threads", type=int, default=1, help="cores that are really free; one too many slows it down")


def add_code(parser: argparse.ArgumentParser) -> None:
    """The option that brings a trainer of one's own."""
    parser.add_argument(
        "--code",
        type=Path,
        metavar="FOLDER",
        help="holds the package with a trainer of your own. It runs here as any program of yours does, with all that"
        " you may do: use code that you trust (on the platform it runs in a sealed container)",
    )


def add_sliced(parser: argparse.ArgumentParser) -> None:
    """Options of looking tile by tile."""
    parser.add_argument("--tile", type=int, metavar="PIXELS", help="look tile by tile, at tiles of so many pixels")
    parser.add_argument("--overlap", type=int, default=128, help="pixels that neighbouring tiles share (128)")


def sliced(options: argparse.Namespace) -> dict[str, Any] | None:
    """What they say, as a request's parameter."""
    return None if options.tile is None else {"tiles": {"size": options.tile, "overlap": options.overlap}}
