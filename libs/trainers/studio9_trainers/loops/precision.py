"""Full or mixed precision, behind one step."""

from typing import Any, Literal

import torch

NAMES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """`auto` is bf16 on accelerators that have it, else fp32: on processors bf16 did not pay when measured."""

    def __init__(self, wanted: Literal["auto", "fp32", "bf16", "fp16"], device: str) -> None:
        accelerated = device.startswith("cuda")
        if wanted == "auto":
            wanted = "bf16" if accelerated and torch.cuda.is_bf16_supported() else "fp32"
        if wanted == "fp16" and not accelerated:
            wanted = "fp32"
        self.name = wanted
        self._device = device.split(":")[0]
        self._scaler = torch.amp.GradScaler(self._device, enabled=wanted == "fp16")

    @property
    def mixed(self) -> bool:
        """Whether some operations run in 16 bits."""
        return self.name != "fp32"

    def cast(self) -> Any:
        """The context in which a model runs."""
        return torch.autocast(self._device, dtype=NAMES[self.name])

    def backward(self, loss: torch.Tensor) -> None:
        """Gradients of a loss."""
        self._scaler.scale(loss).backward()

    def step(self, optimizer: torch.optim.Optimizer, model: torch.nn.Module, clip_norm: float) -> None:
        """Move the weights along the gradients, which end."""
        if clip_norm > 0:
            self._scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        self._scaler.step(optimizer)
        self._scaler.update()
        optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """What going on needs."""
        return dict(self._scaler.state_dict())

    def load(self, state: dict[str, Any]) -> None:
        """Go on."""
        if state:
            self._scaler.load_state_dict(state)
