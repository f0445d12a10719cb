"""`studio9 evaluate MODEL DATA`."""

import argparse
from pathlib import Path

from studio9_task.results import EvaluateResult
from studio9_trainers.cli.data import add_format, read_data
from studio9_trainers.cli.job import Job, add_code, add_common, add_sliced, opened, sliced
from studio9_trainers.cli.showing import figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("model", type=Path, help="a model file (model.pt)")
    parser.add_argument("data", type=Path, help="labelled pictures: a folder, a COCO file or a CSV file")
    add_format(parser)
    add_sliced(parser)
    add_code(parser)
    add_common(parser, "evaluation")


def run(options: argparse.Namespace) -> int:
    """Evaluate; figures, curves and judged pictures lie in `outputs`."""
    file = opened(options.model)
    samples = list(read_data(options.data, options.format).samples)
    job = Job(
        options.out, "evaluate", file.framework, {"sliced": sliced(options)}, {"test": samples}, options.model, None,
        options.seed, options.threads, code=options.code,
    )  # fmt: skip
    code, result = job.run()
    if isinstance(result, EvaluateResult):
        figures([result.test])
        print(f"\n{options.out / 'outputs'} holds the report, every box's fate, and the plots.")
    return code
