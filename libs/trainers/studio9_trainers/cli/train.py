"""`studio9 train DATA`."""

import argparse
from pathlib import Path

from studio9_task.exits import EXIT_OK
from studio9_task.results import TrainResult
from studio9_trainers.cli.choosing import add_model, chosen
from studio9_trainers.cli.data import add_format, read_data
from studio9_trainers.cli.job import Job, add_code, add_common
from studio9_trainers.cli.showing import figures, table
from studio9_trainers.data.collection import Sample
from studio9_trainers.errors import Unsupported
from studio9_trainers.frameworks import catalogue, frameworks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("data", nargs="?", type=Path, help="labelled pictures: a folder, a COCO file or a CSV file")
    parser.add_argument("--test", type=Path, help="labelled pictures to judge the model by, kept out of the training")
    add_format(parser)
    add_model(parser)
    add_common(parser, "run")
    add_code(parser)
    parser.add_argument("--entry", metavar="MODULE:CLASS", help="your trainer in --code, as package.module:Class")
    parser.add_argument("--begin", type=Path, metavar="MODEL", help="a model whose fitting weights to begin with")
    parser.add_argument(
        "--resume", type=Path, metavar="CHECKPOINT", help="outputs/checkpoints/… of a run to go on from"
    )
    parser.add_argument("--processes", type=int, default=1, help="that learn together, each from its own batches (1)")
    parser.add_argument("--list", action="store_true", help="architectures and heads that there are")


def run(options: argparse.Namespace) -> int:
    """Train; the model is `outputs/model.pt` of the run's folder."""
    if options.list or options.data is None:
        known = catalogue()
        rows = [
            (one.id, one.framework, ", ".join(head.id for head in known.heads if one.id in head.architectures))
            for one in known.architectures
        ]
        table(["architecture", "framework", "heads"], rows)
        return EXIT_OK
    data = read_data(options.data, options.format)
    framework, parameters = chosen(options, data.samples)
    if options.processes > 1 and not all(one.distributed for one in frameworks()[framework].capabilities()):
        raise Unsupported(f"--processes: {framework} runs in one: leave it out.")
    inputs = {"train": [one for one in data.samples if one.record.split != "test"]}
    held: list[Sample] = [one for one in data.samples if one.record.split == "test"]
    if options.test is not None:
        held = list(read_data(options.test, options.format).samples)
    if held:
        inputs["test"] = held
    job = Job(
        options.out, "train", framework, parameters, dict(inputs), options.begin, options.resume, options.seed,
        options.threads, options.processes, options.code,
    )  # fmt: skip
    code, result = job.run()
    if isinstance(result, TrainResult):
        figures([result.train, result.val, result.test])
        print(f"\nThe model is {options.out / 'outputs' / 'model.pt'}; it knows {', '.join(result.labels)}.")
    return code
