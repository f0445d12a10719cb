"""TensorRT: an engine for one kind of GPU, made on that GPU."""

from pathlib import Path

import torch

from studio9_task.outputs import Written, new_file
from studio9_trainers.errors import Unsupported


def write_tensorrt(source: Path, path: Path, side: int, batch: int = 8) -> Written:
    """Build an engine from an ONNX file. Raises Unsupported without a GPU or the tensorrt package."""
    if not torch.cuda.is_available():
        raise Unsupported("tensorrt: an engine is made on the GPU it is for, and there is none here: use onnx.")
    try:
        import tensorrt
    except ImportError:
        raise Unsupported("tensorrt: the package is not installed here: install it, or use onnx.") from None
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(source.read_bytes()):
        raise Unsupported(f"tensorrt: it can't read this model ({parser.get_error(0)}): use onnx.")
    settings, profile = builder.create_builder_config(), builder.create_optimization_profile()
    name = network.get_input(0).name
    profile.set_shape(name, (1, 3, 32, 32), (1, 3, side, side), (batch, 3, side, side))
    settings.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, settings)
    if engine is None:
        raise Unsupported("tensorrt: no engine could be built for this GPU: use onnx.")
    with new_file(path) as new:
        new.path.write_bytes(bytes(engine))
    return new.written
