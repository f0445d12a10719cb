"""Weights to begin with: models trained here, and published ones that the user brings. Nothing is unpickled."""

from argparse import Namespace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import RfDetrForObjectDetection
from transformers.utils import logging

from studio9_trainers.errors import BadModel
from studio9_trainers.files import FORMAT, State, load_model, load_plain
from studio9_trainers.rfdetr.framework import NAME
from studio9_trainers.rfdetr.network import SHAPES, RfDetr, configuration

ASKED = ("refpoint_embed.weight", "reference_point_embed.weight", "query_feat.weight")
"""A row for each query of each group, by the names that they are published and kept under."""
OF_LABELS = "class_embed"
"""In the names of all that depends on the labels, and so begins anew."""
OWN = "detector."
"""Before the names in models trained here."""
NO_WEIGHTS = "The model holds no weights of an RF-DETR: give a file of weights as they are published."


def begun(path: Path, architecture: str, labels: int, queries: int) -> tuple[RfDetr, int]:
    """A network with the weights of a file, and how many of its tensors were there; what depends on the labels may
    differ and begins anew. Raises BadModel for weights of another architecture, and for what holds none."""
    given = _given(path, architecture)
    if not given:
        raise BadModel(NO_WEIGHTS)
    groups = SHAPES[architecture].groups
    state = {name: _first(value, groups, queries) if name.endswith(ASKED) else value for name, value in given.items()}
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        detector, told = RfDetrForObjectDetection.from_pretrained(
            None,
            config=configuration(architecture, labels, queries),
            state_dict=state,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except RuntimeError:
        raise BadModel(f"The weights don't fit {architecture}: choose the architecture that they are of.") from None
    others = [name for name, *_ in told["mismatched_keys"]]
    missing = told["missing_keys"]
    wrong = sorted(name for name in (*others, *missing, *told["unexpected_keys"]) if OF_LABELS not in name)
    if wrong:
        raise BadModel(
            f"The weights are not those of {architecture} ({len(wrong)} tensors differ, as {wrong[0]}): choose the "
            "architecture that they are of."
        )
    return RfDetr(detector), len(detector.state_dict()) - len(others) - len(missing)


def _given(path: Path, architecture: str) -> State:
    """The tensors of a file: safetensors, a checkpoint of the package `rfdetr`, or a model trained here."""
    if _is_safetensors(path):
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise BadModel(f"The model can't be read ({error}): it is damaged.") from None
    # Its checkpoints hold their settings as a Namespace, which holds plain values and runs nothing.
    with torch.serialization.safe_globals([Namespace]):
        content = load_plain(path, "model", BadModel)
    if content.get("format") == FORMAT:
        own = load_model(path, NAME, "detect")
        if own.architecture != architecture:
            raise BadModel(f"The model is a {own.architecture}, not a {architecture}: choose that architecture.")
        return {name.removeprefix(OWN): value for name, value in own.state.items()}
    state = content.get("model")
    if not isinstance(state, dict) or not all(_is_weight(*one) for one in state.items()):
        raise BadModel(NO_WEIGHTS)
    return state


def _is_weight(name: object, value: object) -> bool:
    """What is sparse or quantised is none."""
    if not isinstance(name, str) or not isinstance(value, torch.Tensor):
        return False
    return value.layout is torch.strided and not value.is_quantized and not value.is_meta


def _is_safetensors(path: Path) -> bool:
    """Such a file begins with the length of its header, which is JSON."""
    try:
        with path.open("rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError:
        return False


def _first(rows: torch.Tensor, groups: int, queries: int) -> torch.Tensor:
    """The first queries of each group. Raises BadModel where there are fewer."""
    if rows.ndim != 2:
        return rows  # their shape is told of
    known, rest = divmod(rows.shape[0], groups)
    if rest:
        return rows
    if known < queries:
        raise BadModel(f"queries = {queries}: the given weights know {known}: ask for at most so many.")
    return rows.view(groups, known, -1)[:, :queries].flatten(0, 1)
