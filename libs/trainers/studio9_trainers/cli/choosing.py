"""Architectures and heads by name, and the parameters that a person leaves out."""

import argparse
from collections.abc import Sequence
from typing import Any

from studio9_task.catalogue import Architecture, Catalogue, Head
from studio9_trainers.capabilities import TASK_OF_CONSUMER, Task
from studio9_trainers.custom.framework import ARCHITECTURE
from studio9_trainers.data.collection import Sample
from studio9_trainers.data.marks import MARKS
from studio9_trainers.errors import UserError
from studio9_trainers.frameworks import catalogue
from studio9_trainers.texts import value_of

USUAL: dict[Task, str] = {
    "classify": "RESNET18",
    "detect": "YOLO11N",
    "segment": "YOLO11N",
    "pose": "YOLO11N",
    "obb": "YOLO11N",
}
"""The architecture that is taken where none is named, by task."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """Options that choose a model and its training."""
    parser.add_argument("--architecture", help="such as YOLO11N or RESNET18; --list shows all")
    parser.add_argument("--head", help="what makes something of its features; left out: the one that fits")
    parser.add_argument("--epochs", type=int, help="how often every picture is seen")
    parser.add_argument("--batch", type=int, help="pictures a step")
    parser.add_argument("--size", type=int, help="pixels of the longer side, as the model sees pictures")
    parser.add_argument("--rate", type=float, help="learning rate; left out: the recipe's own")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other parameter of the head; repeatable"
    )


def chosen(options: argparse.Namespace, samples: Sequence[Sample]) -> tuple[str, dict[str, Any]]:
    """(framework, parameters of a training) that fit the labels. Raises UserError, naming what there is."""
    known = catalogue()
    task = shown_task(samples)
    own = getattr(options, "code", None) is not None
    if getattr(options, "entry", None) is not None and not own:
        raise UserError("--entry: give the folder that your trainer is in, as --code.", "bad_parameters")
    architecture = _architecture(known, options.architecture or (ARCHITECTURE if own else USUAL[task]))
    head = _head(known, architecture, options.head, task)
    values: dict[str, Any] = {}
    for name, value in (("epochs", options.epochs), ("batch_size", options.batch)):
        if value is not None:
            values[name] = value
    if own:
        if options.entry is None:
            raise UserError("--code: name your trainer in it with --entry package.module:Class.", "bad_parameters")
        values["entry"] = options.entry
    for pair in options.set:
        name, separator, text = pair.partition("=")
        if not separator:
            raise UserError(f"--set {pair}: write NAME=VALUE.", "bad_parameters")
        values[name] = value_of(text)
    parameters: dict[str, Any] = {"architecture": architecture.id, "head": head.id, "head_parameters": values}
    if options.size is not None:
        parameters["input_size"] = {"width": options.size, "height": options.size}
    if options.rate is not None:
        parameters["rates"] = {"backbone": options.rate, "head": options.rate}
    return architecture.framework if architecture.framework == head.framework else head.framework, parameters


def shown_task(samples: Sequence[Sample]) -> Task:
    """What the labels are for: upright boxes, else turned ones, keypoints or masks, else a label a picture."""
    if any(one.record.boxes for one in samples):
        return "detect"
    there = {type(shape) for one in samples for shape in one.record.annotations}
    others: tuple[Task, ...] = ("obb", "pose", "segment")
    return next((task for task in others if there & {*MARKS[task]}), "classify")


def _architecture(known: Catalogue, name: str) -> Architecture:
    for one in known.architectures:
        if one.id == name:
            return one
    raise UserError(f"--architecture {name}: use one of {', '.join(one.id for one in known.architectures)}.")


def _head(known: Catalogue, architecture: Architecture, name: str | None, task: Task) -> Head:
    fitting = [
        one
        for one in known.heads
        if architecture.id in one.architectures and (name == one.id or TASK_OF_CONSUMER[one.consumer] == task)
    ]
    if name is not None:
        fitting = [one for one in fitting if one.id == name]
    if not fitting:
        there = ", ".join(one.id for one in known.heads if architecture.id in one.architectures)
        raise UserError(f"--head {name or ''}: {architecture.id} to {task} has none; it fits {there or 'none'}.")
    return fitting[0]
