"""ONNX: the portable format. The batch may vary, and height and width unless the model takes one square alone."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from studio9_task.outputs import Written, new_file
from studio9_trainers.export.exportable import Array, Exportable, Outputs

OPSET = 17


def write_onnx(model: Exportable, path: Path) -> Written:
    """Write and check it."""
    sizes = {0: "batch"} if model.fixed else {0: "batch", 2: "height", 3: "width"}
    axes = {model.input_name: sizes} | {name: {0: "batch"} for name in model.outputs}
    with new_file(path) as new:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the tracer, about constants; the comparison judges what it made
            torch.onnx.export(
                model.module,
                (model.example(2),),
                str(new.path),
                opset_version=OPSET,
                input_names=[model.input_name],
                output_names=list(model.outputs),
                dynamic_axes=axes,
                dynamo=False,
            )
        made = onnx.load(new.path)
        note(made, model)
        onnx.checker.check_model(made)
        onnx.save(made, new.path)
    return new.written


def note(made: Any, model: Exportable) -> None:
    """Write into the file what its user must know."""
    facts = {
        "labels": "\n".join(model.labels),
        "task": model.task,
        "input_size": str(model.side),
        "pixels": model.pixels,
        "outputs": "\n".join(f"{name}: {told}" for name, told in zip(model.outputs, model.meanings, strict=True)),
        "confidence": str(model.thresholds.confidence),
        "iou": str(model.thresholds.iou),
    }
    helper.set_model_props(made, facts)


class OnnxRunner:
    """An ONNX file at work on the CPU. `level` of optimisation is the runtime's highest."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, pixels: Array) -> Outputs:
        """See Runner."""
        return tuple(self._session.run(None, {self._input: pixels}))


def write_half(source: Path, path: Path) -> Written:
    """The same model with its weights in half precision: half as large, computed in single precision as before."""
    made = onnx.load(source)
    casts = []
    for tensor in made.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < 16:
            continue
        name = tensor.name
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}.half")
        tensor.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    nodes = list(made.graph.node)
    del made.graph.node[:]
    made.graph.node.extend([*casts, *nodes])
    with new_file(path) as new:
        onnx.checker.check_model(made)
        onnx.save(made, new.path)
    return new.written
