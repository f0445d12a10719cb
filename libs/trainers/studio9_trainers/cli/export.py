"""`studio9 export MODEL`."""

import argparse
from pathlib import Path
from typing import get_args

from studio9_task.parameters import ExportFormat
from studio9_task.results import ExportResult
from studio9_trainers.cli.data import add_format, read_data
from studio9_trainers.cli.job import Job, add_common, opened
from studio9_trainers.cli.showing import table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("model", type=Path, help="a model file (model.pt)")
    parser.add_argument("--to", nargs="+", choices=get_args(ExportFormat), default=["onnx"], help="formats (onnx)")
    parser.add_argument("--data", type=Path, help="labelled pictures to compare on, 20 or more; int8 needs some")
    parser.add_argument("--name", default="model", help="the model's name on its card")
    parser.add_argument("--licence", default="not stated", help="as the card shall say it")
    add_format(parser)
    add_common(parser, "export")


def run(options: argparse.Namespace) -> int:
    """Export; files and `card.md` lie in `outputs`."""
    file = opened(options.model)
    parameters = {"formats": options.to, "name": options.name, "licence": options.licence}
    inputs = {"test": list(read_data(options.data, options.format).samples)} if options.data else {}
    job = Job(
        options.out, "export", file.framework, parameters, dict(inputs), options.model, None, options.seed,
        options.threads,
    )  # fmt: skip
    code, result = job.run()
    if isinstance(result, ExportResult):
        verdicts = {True: "accepted", False: "DIFFERS", None: "not judged"}
        rows = [
            (one.format, ", ".join(file.path for file in one.files), verdicts[one.accepted]) for one in result.formats
        ]
        table(["format", "files", "beside the model"], rows)
        print(f"\n{options.out / 'outputs' / 'card.md'} says what they are.")
    return code
