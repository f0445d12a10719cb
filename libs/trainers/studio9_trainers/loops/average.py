"""A moving average of a model's weights, which judges better than the weights themselves."""

import copy
import math

import torch

RISE = 100.0
"""Updates over which the decay rises to its full value, so that early weights are forgotten soon."""


class Average:
    """Keeps the average as a model of its own. The same updates in the same order give the same bits."""

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.updates = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        """Take the weights after a step."""
        self.updates += 1
        decay = self._decay * (1 - math.exp(-self.updates / RISE))
        new = model.state_dict()
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                value.lerp_(new[name].to(value.dtype), 1 - decay)
            else:
                value.copy_(new[name])
