"""Batch norms that see the pictures of all processes, as those of one process with the whole batch do.

PyTorch's own (SyncBatchNorm) work on accelerators alone.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from studio9_trainers.distributed.group import heard


def share_norms(model: torch.nn.Module) -> None:
    """Let every batch norm of the model see all processes' pictures while it trains. All must run the same layers in
    the same order then. Names and shapes of weights stay."""
    for part in list(model.modules()):
        if isinstance(part, _BatchNorm) and not isinstance(part, torch.nn.SyncBatchNorm | _Shared):
            # Only the class is another: whoever holds the norm, or asks what kind it is, still finds it.
            part.__class__ = type(f"Shared{type(part).__name__}", (_Shared, type(part)), {})


class _Shared(_BatchNorm):
    """Put before a norm's own class. Outside of training, and where frozen, it is that class."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values like those given."""
        if not self.training:
            return super().forward(values)
        made, mean, variance, count = _Normalised.apply(values, self.weight, self.bias, self.eps)
        if self.running_mean is not None and self.running_var is not None:
            self._remember(mean, variance * (count / (count - 1).clamp_min(1)))
        # Of timm's, which do more than their name says.
        for more in ("drop", "act"):
            made = getattr(self, more, torch.nn.Identity())(made)
        return made

    @torch.no_grad()
    def _remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        part = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if part is None:
                part = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), part or 0.0)
        self.running_var.lerp_(variance.to(self.running_var.dtype), part or 0.0)


class _Normalised(torch.autograd.Function):
    """(normalised, mean, variance, count) of values (pictures × channels × places) by those of all processes."""

    @staticmethod
    def forward(
        at: Any, values: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, eps: float
    ) -> tuple[torch.Tensor, ...]:
        channels = values.shape[1]
        own_variance, own_mean = torch.var_mean(values.float(), _places(values), correction=0)
        own = torch.cat([own_mean, own_variance, own_mean.new_tensor([values.numel() / channels])])
        rows = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        with heard():
            dist.all_gather(rows, own)
        means, variances, counts = torch.stack(rows).split([channels, channels, 1], dim=1)
        count = counts.sum()
        mean = (means * counts).sum(0) / count
        variance = ((variances + (means - mean) ** 2) * counts).sum(0) / count
        at.save_for_backward(values, weight, mean, (variance + eps).rsqrt(), count)
        at.mark_non_differentiable(mean, variance, count)
        return functional.batch_norm(values, mean, variance, weight, bias, False, 0.0, eps), mean, variance, count

    @staticmethod
    def backward(at: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        values, weight, mean, scale, count = at.saved_tensors
        given = gradients[0].float()
        wide = [1, -1] + [1] * (values.ndim - 2)
        normal = (values.float() - mean.view(wide)) * scale.view(wide)
        of_bias, of_weight = given.sum(_places(values)), (given * normal).sum(_places(values))
        summed = torch.cat([of_bias, of_weight])
        with heard():
            dist.all_reduce(summed)
        first, second = ((one / count).view(wide) for one in summed.chunk(2))
        factor = scale if weight is None else scale * weight.float()
        of_values = (given - first - normal * second) * factor.view(wide)
        if weight is None:
            return of_values.to(values.dtype), None, None, None
        return of_values.to(values.dtype), of_weight.to(weight.dtype), of_bias.to(weight.dtype), None


def _places(values: torch.Tensor) -> list[int]:
    return [0, *range(2, values.ndim)]
