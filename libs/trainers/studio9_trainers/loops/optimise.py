"""Optimisers with a backbone's and a head's own rates, and how rates rise and fall: pure functions of the step."""

import math
from collections.abc import Callable
from typing import Any

import torch

from studio9_trainers.config import LoopOptions, TrainingConfig


def parameter_groups(
    model: torch.nn.Module, config: TrainingConfig, is_backbone: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """Trainable weights by part; vectors (biases, norms) are not drawn to 0. Each group keeps its `base_rate`."""
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((is_backbone(name), parameter.ndim > 1), []).append(parameter)
    made = []
    for (backbone, matrix), members in sorted(groups.items()):
        rate = config.backbone_rate if backbone else config.head_rate
        decay = config.loop.weight_decay if matrix else 0.0
        made.append({"params": members, "lr": rate, "base_rate": rate, "weight_decay": decay})
    return made


def make_optimizer(name: str, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """AdamW, or SGD with momentum."""
    if name == "SGD":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, betas=(0.9, 0.999))


def rate_factor(step: int, steps: int, warmup: int, loop: LoopOptions) -> float:
    """What a rate is multiplied by before step `step` (from 0) of `steps`."""
    if step < warmup:
        return (step + 1) / warmup
    if loop.schedule == "constant":
        return 1.0
    part = (step - warmup) / max(1, steps - warmup)
    if loop.schedule == "linear":
        return 1 - part * (1 - loop.final_rate)
    return loop.final_rate + (1 - loop.final_rate) * (1 + math.cos(math.pi * part)) / 2


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Set every group's rate; the highest of them."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_rate"] * factor
    return max(float(group["lr"]) for group in optimizer.param_groups)
