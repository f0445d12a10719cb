"""`studio9 tune DATA --vary NAME=RANGE`."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio9_task.exits import EXIT_OK
from studio9_trainers.capabilities import TASK_OF_CONSUMER
from studio9_trainers.cli.choosing import add_model, chosen
from studio9_trainers.cli.data import add_format, read_data
from studio9_trainers.cli.job import Job, add_common
from studio9_trainers.cli.showing import table
from studio9_trainers.config import training_config
from studio9_trainers.data.dataset import not_parted, read_pictures, split_off
from studio9_trainers.errors import BadInput, UserError
from studio9_trainers.frameworks import catalogue


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("data", type=Path, help="labelled pictures: a folder, a COCO file or a CSV file")
    parser.add_argument(
        "--vary", action="append", default=[], metavar="NAME=RANGE", required=True,
        help="rate=1e-4..1e-1:log, batch_size=2..16, optimizer=AdamW,SGD; repeatable",
    )  # fmt: skip
    parser.add_argument("--trials", type=int, default=9, help="settings to try (9)")
    parser.add_argument("--factor", type=int, default=3, help="of so many trials one goes on to the next rung (3)")
    add_format(parser)
    add_model(parser)
    add_common(parser, "tuning")


def run(options: argparse.Namespace) -> int:
    """Search; `study.json` holds every trial, and a stopped search goes on from it."""
    from studio9_trainers.tuning.search import Candidate, TrainingCandidate, search, with_settings
    from studio9_trainers.tuning.space import parsed
    from studio9_trainers.tuning.study import Study, Trial, rungs_of

    pairs = dict(_pair(text) for text in options.vary)
    samples = [one for one in read_data(options.data, options.format).samples if one.record.split != "test"]
    framework, parameters = chosen(options, samples)
    known = catalogue()
    head = next(one for one in known.heads if one.id == parameters["head"])
    names = [one.name for one in head.parameters]
    config = training_config(with_settings(parameters, {}, names), known, options.seed, begun=False)
    folder = Job(options.out / "data", "train", framework, parameters, {"train": samples}).staged()
    pictures = read_pictures(folder, "train")
    fitted, held = split_off(pictures, config.validation_fraction)
    if len(held) == len(pictures):
        raise BadInput(not_parted(pictures))
    saved = options.out / "study.json"
    rungs = rungs_of(config.epochs, options.factor)
    study = Study.load(saved) if saved.is_file() else Study(parsed(pairs), rungs, options.seed, 1 / options.factor)

    def begin(settings: Mapping[str, Any], seed: int, name: str) -> Candidate:
        own = with_settings(parameters, settings, names)
        own["head_parameters"] = own["head_parameters"] | {"seed": seed}
        return TrainingCandidate(
            framework, TASK_OF_CONSUMER[head.consumer], training_config(own, known, seed, begun=False), fitted, held,
            options.out / name, options.threads,
        )  # fmt: skip

    def told(trial: Trial) -> None:
        reached = ", ".join(f"{value:.4f} after {epochs}" for epochs, value in trial.values.items())
        print(
            f"trial {trial.number}: {_shown(trial.settings)}: {reached or trial.reason} ({trial.state})",
            file=sys.stderr,
        )

    winner = search(study, options.trials, begin, saved, told)
    rows = [
        (
            one.number,
            _shown(one.settings),
            f"{one.best:.4f}" if one.values else "–",
            max(one.values, default=0),
            one.state,
        )
        for one in study.trials
    ]
    table(["trial", "settings", "best", "epochs", "state"], rows)
    print(
        f"\nThe winner is trial {winner.trial.number}: {_shown(winner.trial.settings)}. "
        f"With {len(winner.values)} other seeds it reaches {winner.mean:.4f} ± {winner.spread:.4f}."
    )
    return EXIT_OK


def _pair(text: str) -> tuple[str, str]:
    name, separator, body = text.partition("=")
    if not separator:
        raise UserError(f"--vary {text}: write NAME=RANGE.", "bad_parameters")
    return name, body


def _shown(settings: Mapping[str, Any]) -> str:
    texts = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in settings.items()}
    return ", ".join(f"{name} {text}" for name, text in texts.items())
