"""TorchScript: a traced module that runs without our code."""

import warnings
from pathlib import Path

import torch

from studio9_task.outputs import Written, new_file
from studio9_trainers.export.exportable import Array, Exportable, Outputs, plain


def write_torchscript(model: Exportable, path: Path) -> Written:
    """Trace and write it."""
    with new_file(path) as new, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer; the comparison judges what it made
        traced = torch.jit.trace(model.module, model.example(), strict=False)
        torch.jit.save(traced, str(new.path))
    return new.written


class TorchScriptRunner:
    """A traced module at work on the CPU."""

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._module = torch.jit.load(str(path), map_location="cpu").eval()

    @torch.inference_mode()
    def __call__(self, pixels: Array) -> Outputs:
        """See Runner."""
        return plain(self._module(torch.from_numpy(pixels)))
