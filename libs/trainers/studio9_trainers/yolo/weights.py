"""YOLO's modules, rebuilt by our code from an architecture's id; tensors come from files, code never does."""

from typing import Any

from ultralytics.nn.tasks import DetectionModel, OBBModel, PoseModel, SegmentationModel, yaml_model_load

from studio9_trainers.capabilities import Task
from studio9_trainers.errors import BadModel, Unsupported
from studio9_trainers.files import ModelFile
from studio9_trainers.yolo.zoo import fitting, model_files

PIXELS = "upright RGB from 0 to 1, longer side to input_size, padded with 114/255 to multiples of 32"

POINTS = "points"
"""The option of a model file that names the keypoints of poses."""


def model_file(architecture: str, task: Task) -> str:
    """The package's model file. Raises Unsupported, naming what there is."""
    known = model_files().get(architecture, {})
    if task not in known:
        raise Unsupported(f"architecture = {architecture!r}: to {task}, use one of {', '.join(fitting(task))}.")
    return known[task]


MODELS = {"detect": DetectionModel, "segment": SegmentationModel, "obb": OBBModel, "pose": PoseModel}


def build(architecture: str, task: Task, labels: int, points: int = 0) -> Any:
    """A fresh model of one of the catalogue's architectures, for so many labels and, of poses, keypoints."""
    more = {"data_kpt_shape": [points, 3]} if task == "pose" else {}
    return MODELS[task](model_file(architecture, task), ch=3, nc=labels, verbose=False, **more)


def backbone_layers(architecture: str, task: Task) -> int:
    """How many of its layers are the backbone; those after it belong to the head."""
    return len(yaml_model_load(model_file(architecture, task))["backbone"])


def rebuilt(file: ModelFile) -> Any:
    """The model of a file, with its weights. Raises BadModel when they don't fit."""
    model = build(file.architecture, file.task, len(file.labels), len(file.options.get(POINTS, ())))
    try:
        model.load_state_dict(file.state)
    except RuntimeError:
        raise BadModel(
            f"The model's weights don't fit {file.architecture} with {len(file.labels)} labels: choose another."
        ) from None
    return model
