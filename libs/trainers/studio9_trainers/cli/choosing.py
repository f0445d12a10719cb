"""Architectures and heads by name, and the parameters that a person leaves out."""

import argparse
from collections.abc import Sequence
from typing import Any

from studio9_task.catalogue import Architecture, Catalogue, Head
from studio9_trainers.capabilities import TASK_OF_CONSUMER
from studio9_trainers.data.collection import Sample
from studio9_trainers.errors import UserError
from studio9_trainers.frameworks import catalogue

USUAL = {"detect": "YOLO11N", "classify": "RESNET18"}


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
    task = "detect" if any(one.record.boxes for one in samples) else "classify"
    architecture = _architecture(known, options.architecture or USUAL[task])
    head = _head(known, architecture, options.head, task)
    values: dict[str, Any] = {}
    for name, value in (("epochs", options.epochs), ("batch_size", options.batch)):
        if value is not None:
            values[name] = value
    for pair in options.set:
        name, separator, text = pair.partition("=")
        if not separator:
            raise UserError(f"--set {pair}: write NAME=VALUE.", "bad_parameters")
        values[name] = parsed(text)
    parameters: dict[str, Any] = {"architecture": architecture.id, "head": head.id, "head_parameters": values}
    if options.size is not None:
        parameters["input_size"] = {"width": options.size, "height": options.size}
    if options.rate is not None:
        parameters["rates"] = {"backbone": options.rate, "head": options.rate}
    return architecture.framework if architecture.framework == head.framework else head.framework, parameters


def parsed(text: str) -> bool | int | float | str:
    """A value as it was typed."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _architecture(known: Catalogue, name: str) -> Architecture:
    for one in known.architectures:
        if one.id == name:
            return one
    raise UserError(f"--architecture {name}: use one of {', '.join(one.id for one in known.architectures)}.")


def _head(known: Catalogue, architecture: Architecture, name: str | None, task: str) -> Head:
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
