"""OpenVINO's format: a description (.xml) with its weights beside it (.bin)."""

from pathlib import Path

import numpy as np

from studio9_task.outputs import Written, new_file
from studio9_trainers.export.exportable import Array, Outputs
from studio9_trainers.export.silent import openvino


def write_openvino(source: Path, path: Path) -> tuple[Written, Written]:
    """From an ONNX file; (description, weights). The weights stay in single precision."""
    made = openvino().convert_model(str(source))
    weights = path.with_suffix(".bin")
    # Written beside each other under one name first: the description names no file, the runtime takes the same stem.
    folder = path.parent / f".{path.stem}.making"
    folder.mkdir(parents=True, exist_ok=True)
    openvino().save_model(made, str(folder / "model.xml"), compress_to_fp16=False)
    with new_file(weights) as new_weights:
        (folder / "model.bin").rename(new_weights.path)
    with new_file(path) as new:
        (folder / "model.xml").rename(new.path)
    folder.rmdir()
    return new.written, new_weights.written


class OpenVinoRunner:
    """A model at work on the CPU, in single precision: by default the runtime takes bf16 where the processor has it,
    which moves boxes by pixels."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        self._model = openvino().Core().compile_model(str(path), "CPU", settings)

    def __call__(self, pixels: Array) -> Outputs:
        """See Runner."""
        found = self._model(pixels)
        return tuple(np.asarray(found[output]) for output in self._model.outputs)
