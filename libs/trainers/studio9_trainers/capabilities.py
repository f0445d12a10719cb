"""What a framework can do for a task, as data: the table in the documentation is made from it."""

from dataclasses import dataclass
from typing import Literal

from studio9_task.parameters import ExportFormat

Task = Literal["classify", "detect", "reconstruct", "segment", "pose", "obb"]
"""What a model finds: a label of the picture, upright boxes, the picture itself, masks, keypoints, turned boxes."""

TASKS: tuple[Task, ...] = ("classify", "detect", "reconstruct", "segment", "pose", "obb")
TASK_OF_CONSUMER: dict[str, Task] = {
    "classifier": "classify",
    "detector": "detect",
    "decoder": "reconstruct",
    "segmenter": "segment",
    "pose_estimator": "pose",
    "turned_detector": "obb",
}
"""The catalogue's consumers, and the task that a model with such a head does."""

WEIGHTS: tuple[ExportFormat, ...] = ("safetensors",)
"""What every model can be written as, as soon as it can be loaded."""
COMPUTED: tuple[ExportFormat, ...] = (*WEIGHTS, "onnx", "openvino", "torchscript", "fp16")
"""What a model can be written as that can be taken apart (studio9_trainers.export)."""
SMALLER: tuple[ExportFormat, ...] = (*COMPUTED, "int8", "tensorrt")
"""The same where its convolutions bear eight bits, and engines for GPUs are made of it."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One row of the table. `loop`: whose training loop it is; `resume`: to what point, and how exactly.

    `evaluate`: whether figures are ours (COCO's rules, one confusion matrix) or the framework's own; none where models
    can't be loaded again. `distributed`: whether several processes can learn together. The catalogue's kinds are made
    from this, and what is not in it is refused.
    """

    framework: str
    task: Task
    loop: Literal["own", "framework"]
    licence: str
    evaluate: Literal["ours", "framework", "none"] = "ours"
    predict: bool = True
    resume: Literal["exact", "none"] = "exact"
    resume_inside_epochs: bool = False
    export: tuple[ExportFormat, ...] = WEIGHTS
    distributed: bool = False
    sandbox_only: bool = False
    note: str = ""
