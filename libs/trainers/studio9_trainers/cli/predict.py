"""`studio9 predict MODEL PICTURES`."""

import argparse
from collections import Counter
from pathlib import Path

from studio9_task.results import PredictResult, read_predictions
from studio9_trainers.cli.data import read_bare
from studio9_trainers.cli.job import Job, add_code, add_common, add_sliced, opened, sliced
from studio9_trainers.cli.pictures import draw
from studio9_trainers.cli.showing import table
from studio9_trainers.data.collection import Sample
from studio9_trainers.errors import BadInput


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("model", type=Path, help="a model file (model.pt)")
    parser.add_argument("pictures", type=Path, nargs="+", help="picture files, or folders of them")
    parser.add_argument("--confidence", type=float, help="the least; left out: what is stored with the model")
    parser.add_argument("--no-pictures", action="store_true", help="write predictions.jsonl alone")
    add_sliced(parser)
    add_code(parser)
    add_common(parser, "predictions")


def run(options: argparse.Namespace) -> int:
    """Predict; `outputs/predictions.jsonl` holds what was found, `pictures/` shows it."""
    file = opened(options.model)
    samples: list[Sample] = [one for path in options.pictures for one in read_bare(path).samples]
    if not samples:
        raise BadInput("There are no pictures: give files or folders that hold some.")
    parameters: dict[str, object] = {"sliced": sliced(options)}
    if options.confidence is not None:
        parameters["thresholds"] = file.thresholds.model_dump(mode="json") | {"confidence": options.confidence}
    job = Job(
        options.out, "predict", file.framework, parameters, {"predict": samples}, options.model, None, options.seed,
        options.threads, code=options.code,
    )  # fmt: skip
    code, result = job.run()
    if isinstance(result, PredictResult):
        found = list(read_predictions(options.out / "outputs" / "predictions.jsonl"))
        if not options.no_pictures:
            draw(found, samples, options.out / "pictures")
        counts = Counter(box.label for one in found for box in one.boxes) + Counter(
            one.label for one in found if one.label is not None
        )
        table(["label", "found"], counts.most_common())
        print(f"\n{result.pictures} pictures; {options.out / 'outputs' / 'predictions.jsonl'} says what is where.")
    return code
