"""ONNX with eight-bit weights and activations, whose ranges are taken from pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from studio9_task.outputs import Written, new_file
from studio9_trainers.data.decode import Pixels
from studio9_trainers.export.exportable import Array, Exportable

CALIBRATED = 100
"""Pictures that are looked at, at most."""


class _Pictures(CalibrationDataReader):
    def __init__(self, name: str, inputs: Iterator[Array]) -> None:
        self._name, self._inputs = name, inputs

    def get_next(self) -> dict[str, Array] | None:
        """One picture's input, none after the last."""
        one = next(self._inputs, None)
        return None if one is None else {self._name: one}


def write_int8(model: Exportable, source: Path, path: Path, pictures: Sequence[Pixels]) -> Written:
    """From an ONNX file. Convolutions alone are quantised, but not the last ones: they give boxes and scores, which
    eight bits are too few for."""
    inputs = (np.ascontiguousarray(model.prepare(pixels))[None] for pixels in pictures[:CALIBRATED])
    made = onnx.load(source)
    with new_file(path) as new:
        quantize_static(
            str(source),
            str(new.path),
            _Pictures(model.input_name, inputs),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=last_convolutions(made),
        )
    return new.written


def last_convolutions(made: onnx.ModelProto) -> list[str]:
    """The convolutions after which no other comes on the way to an output."""
    makers = {name: node for node in made.graph.node for name in node.output}
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [output.name for output in made.graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if node.op_type == "Conv":
            found.add(node.name)
        else:
            waiting.extend(node.input)
    return sorted(found)
